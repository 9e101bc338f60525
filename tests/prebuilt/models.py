"""Chat models that say what a test tells them to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import Field


class ScriptedModel(BaseChatModel):
    """Gives its replies in turn, word by word if it is asked to stream; notes what it is asked, and with which tools.

    A reply may be a function of the messages.
    """

    replies: list[Any] = Field(default_factory=list)
    asked: list[Any] = Field(default_factory=list)
    bound: list[Any] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _reply(self, messages: list[BaseMessage]) -> AIMessage:
        reply = self.replies[len(self.asked) % len(self.replies)]
        self.asked.append([(message.type, message.content, message.name) for message in messages])
        reply = reply(messages) if callable(reply) else reply
        # With an id of its own, as LangChain's tell whether the model was asked to stream.
        return AIMessage(reply, id=f"reply-{len(self.asked)}") if isinstance(reply, str) else reply.model_copy()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._reply(messages))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        reply = self._reply(messages)
        words = re.findall(r"\s*\S+", str(reply.content))
        parts = [AIMessageChunk(content=word, id=reply.id) for word in words]
        if reply.tool_calls:
            calls: Any = [
                {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"], "index": index}
                for index, call in enumerate(reply.tool_calls)
            ]
            parts.append(AIMessageChunk(content="", tool_call_chunks=calls, id=reply.id))
        for part in parts:
            chunk = ChatGenerationChunk(message=part)
            if run_manager:
                run_manager.on_llm_new_token(str(part.content), chunk=chunk)
            yield chunk

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        self.bound.append([tool if isinstance(tool, dict) else tool.name for tool in tools])
        described = [tool if isinstance(tool, dict) else {"name": tool.name} for tool in tools]
        return self.bind(tools=described)

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Runnable[Any, Any]:
        def structured(messages: Any) -> Any:
            self.asked.append([(message.type, message.content) for message in messages])
            return schema(answer=len(messages)) if isinstance(schema, type) else {"answer": len(messages)}

        return RunnableLambda(structured)
