"""The callback that hears LangChain's chat models speak."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, TypeVar
from uuid import UUID, uuid4

from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler, CallbackManager
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, LLMResult

from fleetgraph.constants import TAG_NOSTREAM
from fleetgraph.pregel.context import TaskContext

T = TypeVar("T")


def callbacks_for(running: TaskContext) -> CallbackManager | AsyncCallbackManager:
    """The callbacks of a task's config: the caller's, and ours, with the task's tags and metadata.

    A manager hands tags and metadata down to whatever runs inside the node, also where that is called with a config
    of its own.
    """
    manager = AsyncCallbackManager if running.node.is_async else CallbackManager
    callbacks = manager.configure(
        inheritable_callbacks=running.run_config.get("callbacks"),
        inheritable_tags=running.config["tags"],
        inheritable_metadata=running.metadata,
    )
    callbacks.add_handler(MessagesHandler(running), inherit=True)
    return callbacks


class MessagesHandler(BaseCallbackHandler):
    """Streams every token of the chat models that run inside one task.

    A model asked to `invoke` streams all the same when one of its handlers has the two `tap_output` methods: that is
    how LangChain recognises a handler that wants tokens.
    """

    run_inline = True  # a token must be emitted before the model goes on, not whenever a thread gets to it

    def __init__(self, running: TaskContext) -> None:
        self._emit = running.emit
        self._metadata: dict[UUID, dict[str, Any]] = {}

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if metadata is None or (tags and TAG_NOSTREAM in tags):
            return
        shown = dict(metadata)
        if user_tags := [tag for tag in tags or () if not tag.startswith("seq:step")]:
            shown["tags"] = user_tags
        self._metadata[run_id] = shown

    def on_llm_new_token(
        self, token: Any, *, chunk: Any = None, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        if isinstance(chunk, ChatGenerationChunk) and (metadata := self._metadata.get(run_id)) is not None:
            self._send(chunk.message, metadata, unless_seen=False)

    def on_llm_end(
        self, response: LLMResult, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        metadata = self._metadata.pop(run_id, None)
        if metadata is None or not response.generations or not response.generations[0]:
            return
        generation = response.generations[0][0]
        if isinstance(generation, ChatGeneration):
            self._send(generation.message, metadata, unless_seen=True)

    def on_llm_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        self._metadata.pop(run_id, None)

    def _send(self, message: BaseMessage, metadata: dict[str, Any], *, unless_seen: bool) -> None:
        if message.id is None:
            message.id = str(uuid4())
        self._emit.message(message, metadata, unless_seen=unless_seen)

    def tap_output_aiter(self, run_id: UUID, output: AsyncIterator[T]) -> AsyncIterator[T]:
        return output

    def tap_output_iter(self, run_id: UUID, output: Iterator[T]) -> Iterator[T]:
        return output
