"""The chat model of the examples: a real one if OPENAI_BASE_URL is set, else one that recites its lines."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

Lines = str | Callable[[list[BaseMessage]], AIMessage]
"""What it says: always the same, or what follows from the messages it is asked with."""


def chat_model(recites: Lines, tags: list[str] | None = None) -> BaseChatModel:
    """A chat model that streams its answer; without a server, the answer is what it `recites`, a word at a time."""
    if "OPENAI_BASE_URL" in os.environ:
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model=os.environ.get("OPENAI_MODEL", "gpt-4o-mini"), tags=tags)
    return RecitingModel(recites=recites, tags=tags)


class RecitingModel(BaseChatModel):
    """Needs no server, and remembers nothing: any worker may be the one that asks it."""

    recites: Any

    @property
    def _llm_type(self) -> str:
        return "reciting"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> RecitingModel:
        return self

    def _says(self, messages: list[BaseMessage]) -> AIMessage:
        return AIMessage(self.recites) if isinstance(self.recites, str) else self.recites(messages)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._says(messages))])

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        said = self._says(messages)
        for part in re.split(r"(\s)", said.text):
            yield ChatGenerationChunk(message=AIMessageChunk(part))
        for index, call in enumerate(said.tool_calls):
            part = {"index": index, "id": call["id"], "name": call["name"], "args": json.dumps(call["args"])}
            yield ChatGenerationChunk(message=AIMessageChunk("", tool_call_chunks=[part]))
