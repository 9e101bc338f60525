"""Where LangChain meets a task: callbacks that hear its chat models speak, and its tools that return Commands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler, BaseCallbackManager, CallbackManager
from langchain_core.messages import BaseMessage
from langchain_core.messages.tool import ToolOutputMixin
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, LLMResult
from langchain_core.runnables.config import var_child_runnable_config

from fleetgraph.constants import TAG_NOSTREAM
from fleetgraph.pregel.context import TaskContext
from fleetgraph.types import Command

T = TypeVar("T")


def let_tools_return_commands() -> None:
    """Make LangChain's tools pass a returned Command on as it is, instead of making a text of it.

    They do so with instances of a class of theirs. Command can't derive from that one without importing LangChain in
    every program, so its own base class, `ToolOutput`, does from now on.
    """
    base: Any = Command.__mro__[1]
    if base.__name__ == "ToolOutput" and not issubclass(base, ToolOutputMixin):
        base.__bases__ = (ToolOutputMixin,)


class Surroundings:
    """What LangChain code finds around it in a node: the task's config, and those who listen to models. A context.

    Args:
        running: The task.
        told: Whether somebody streams `messages`.
        unheard: Whether models are to stream though nobody is told.
        counting: Whether every event of LangChain counts as progress.
    """

    __slots__ = ("_counting", "_entered", "_running", "_told", "_unheard")

    def __init__(self, running: TaskContext, *, told: bool, unheard: bool, counting: bool) -> None:
        self._running = running
        self._told = told
        self._unheard = unheard
        self._counting = counting

    def __enter__(self) -> None:
        running = self._running
        listening = self._told or self._unheard or self._counting
        if listening or isinstance(running.task.frame.config.get("callbacks"), BaseCallbackManager):
            callbacks = running.config["callbacks"] = _callbacks_for(running)
            if self._told:
                callbacks.add_handler(MessagesHandler(running), inherit=True)
            elif self._unheard:
                callbacks.add_handler(UnheardHandler(), inherit=True)
            if self._counting:
                callbacks.add_handler(ProgressHandler(running), inherit=True)
        self._entered = var_child_runnable_config.set(cast(Any, running.config))

    def __exit__(self, *_: object) -> None:
        var_child_runnable_config.reset(self._entered)


def _callbacks_for(running: TaskContext) -> CallbackManager | AsyncCallbackManager:
    """The caller's callbacks, for a task's config, with the task's tags and metadata.

    A manager hands tags and metadata down to whatever runs inside the node, also where that is called with a config
    of its own.
    """
    manager = AsyncCallbackManager if running.node.is_async else CallbackManager
    callbacks = manager.configure(
        inheritable_callbacks=running.task.frame.config.get("callbacks"),
        inheritable_tags=running.config["tags"],
        inheritable_metadata=running.metadata,
    )
    # A node that hands its config on to a graph hands on its handler too; that graph's tasks have their own, or none.
    for handler in [handler for handler in callbacks.handlers if isinstance(handler, UnheardHandler)]:
        callbacks.remove_handler(handler)
    return callbacks


class UnheardHandler(BaseCallbackHandler):
    """Makes chat models stream, without telling anybody.

    A model asked to `invoke` streams all the same when one of its handlers has the two `tap_output` methods: that is
    how LangChain recognises a handler that wants tokens.
    """

    def tap_output_aiter(self, run_id: UUID, output: AsyncIterator[T]) -> AsyncIterator[T]:
        return output

    def tap_output_iter(self, run_id: UUID, output: Iterator[T]) -> Iterator[T]:
        return output


class MessagesHandler(UnheardHandler):
    """Streams every token of the chat models that run inside one task."""

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


class ProgressHandler(BaseCallbackHandler):
    """Takes every event of LangChain as a sign that the task gets on, whose timeout counts these."""

    run_inline = True

    def __init__(self, running: TaskContext) -> None:
        self._running = running

    def _note(self, *args: Any, **kwargs: Any) -> None:
        self._running.touch()

    on_llm_start = on_chat_model_start = on_llm_new_token = on_llm_end = on_llm_error = _note
    on_chain_start = on_chain_end = on_chain_error = on_agent_action = on_agent_finish = _note
    on_tool_start = on_tool_end = on_tool_error = on_text = on_retry = on_custom_event = _note
    on_retriever_start = on_retriever_end = on_retriever_error = _note
