"""Chat models that need no server, and take no time: one that talks, and one that calls tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult


class Talker(BaseChatModel):
    """Each token is a chunk."""

    tokens: int

    @property
    def _llm_type(self) -> str:
        return "talker"

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for number in range(self.tokens):
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"word{number} "))

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        text = "".join(f"word{number} " for number in range(self.tokens))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])


class Caller(BaseChatModel):
    """Wants a tool called so many times, before it has an answer."""

    calls: int

    @property
    def _llm_type(self) -> str:
        return "caller"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Caller:
        return self

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        called = sum(message.type == "tool" for message in messages)
        message = AIMessage(content="Enough of words.", id=f"answer{called}")
        if called < self.calls:
            call = ToolCall(name="look_up", args={"word": f"word{called}"}, id=f"call{called}")
            message = AIMessage(content="", tool_calls=[call], id=f"answer{called}")
        return ChatResult(generations=[ChatGeneration(message=message)])
