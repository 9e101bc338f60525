"""The `messages` mode for models that are not LangChain's: the plain `openai` client, or any other source of tokens.

    from fleetgraph.messages import stream_message

    def answer(state):
        chunks = OpenAI().chat.completions.create(model="gpt-5", messages=state["prompt"], stream=True)
        return {"messages": [stream_message(chunks)]}

Whoever streams `messages` gets each token as it comes, as `(chunk, metadata)`, the metadata being that of the node.
All chunks of a message have one id, which the returned message has too: it is not shown again when the node returns
it. `astream_message` does the same with an async source, and a `MessageWriter` where the tokens come in another way.

With LangChain installed a chunk is an `AIMessageChunk` and the message an `AIMessage`. Without it they are a
`MessageChunk` and a `Message`, dataclasses whose fields have the same names. Nothing is made of the tokens, but the
message, while nobody streams `messages`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from fleetgraph.constants import TAG_NOSTREAM
from fleetgraph.pregel.context import current
from fleetgraph.stream.messages import langchain_installed

Token = Callable[[Any], str | None]
"""Finds the text in an item of a source; None or an empty text where it has none."""


@dataclass(frozen=True)
class Message:
    """What a model said, where LangChain is not installed."""

    content: str
    id: str
    type: str = "ai"
    tool_calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """`{"name", "args", "id", "type": "tool_call"}`, with `args` a dict."""
    invalid_tool_calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The same with `type` `invalid_tool_call`, `args` the text that is no JSON object, and an `error`."""
    usage_metadata: dict[str, int] | None = None
    """`input_tokens`, `output_tokens`, `total_tokens`, if the source told."""
    response_metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    """`finish_reason` and `model_name`, if the source told."""


@dataclass(frozen=True)
class MessageChunk(Message):
    """A part of what a model says, while it says it, where LangChain is not installed."""

    type: str = "AIMessageChunk"
    tool_call_chunks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Parts of tool calls: `{"name", "args", "id", "index", "type": "tool_call_chunk"}`, with `args` a text."""


def stream_message(
    source: Iterable[Any],
    *,
    id: str | None = None,
    tags: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    text: Token | None = None,
) -> Any:
    """Take all of `source`, showing each token in `messages` as it comes, and return the whole message.

    Args:
        source: Texts, or chunks of OpenAI's chat completions (objects or dicts, as several clients have them).
        id: The id of the message; one is made if there is none.
        tags: What callers can tell this model's tokens by: they come in `metadata["tags"]`, with the run's. Tagged
            `nostream` the tokens are not shown, only the message when the node returns it.
        metadata: What else the metadata is to say, such as `{"ls_model_name": "gpt-5"}`.
        text: Finds the text in an item of a source of another kind.

    Returns:
        An `AIMessage` if LangChain is installed, else a `Message`; with its tool calls, if the model made any.

    Raises:
        RuntimeError: No node is running here.
        TypeError: An item of `source` is neither a text nor a chunk, and there is no `text` to find one in it.

    Example:
        >>> events = client.responses.create(model="gpt-5", input=question, stream=True)
        >>> stream_message(events, text=lambda e: e.delta if e.type == "response.output_text.delta" else None)
    """
    writer = MessageWriter(id=id, tags=tags, metadata=metadata, text=text)
    for item in source:
        writer.write(item)
    return writer.message()


async def astream_message(
    source: AsyncIterable[Any],
    *,
    id: str | None = None,
    tags: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    text: Token | None = None,
) -> Any:
    """The same as `stream_message`, of an async source.

    Example:
        >>> async def answer(state):
        ...     client = AsyncOpenAI()
        ...     chunks = await client.chat.completions.create(model="gpt-5", messages=state["prompt"], stream=True)
        ...     return {"messages": [await astream_message(chunks)]}
    """
    writer = MessageWriter(id=id, tags=tags, metadata=metadata, text=text)
    async for item in source:
        writer.write(item)
    return writer.message()


class MessageWriter:
    """Shows one message in `messages` while it grows; for nodes that want to look at the tokens themselves.

    Made in the node, it may be written to from any thread, by one at a time. The arguments are those of
    `stream_message`.

    Example:
        >>> writer = MessageWriter()
        >>> for chunk in chunks:
        ...     writer.write(chunk)
        ...     if "STOP" in writer.content:
        ...         break
        >>> return {"messages": [writer.message()]}
    """

    def __init__(
        self,
        *,
        id: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        text: Token | None = None,
    ) -> None:
        running = current()
        self.id = id or str(uuid4())
        self._text = text
        self._emit = running.emit
        self._shown = "messages" in running.emit.modes and TAG_NOSTREAM not in tags
        if self._shown:
            self._metadata = {**running.metadata, **(metadata or {})}
            if all_tags := [*running.config["tags"], *tags]:
                self._metadata["tags"] = all_tags
        self._pieces: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._usage: dict[str, int] | None = None
        self._response: dict[str, Any] = {}

    @property
    def content(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    def write(self, item: Any) -> None:
        """Add a text, or a chunk of a chat completion, and show it.

        Raises:
            TypeError: It is neither, and the writer was given no `text` to find one in it.
        """
        if self._text is not None:
            part = _Part(self._text(item) or "")
        elif isinstance(item, str):
            part = _Part(item)
        else:
            part = _part_of_completion(item)
        if not part:
            return
        self._pieces.append(part.content)
        for call in part.calls:
            self._calls.setdefault(call["index"], _Call()).add(call)
        self._usage = part.usage or self._usage
        self._response.update(part.response)
        if self._shown:
            self._emit.message(_chunk(part, self.id), self._metadata, unless_seen=False)

    def message(self) -> Any:
        """The message so far: an `AIMessage` if LangChain is installed, else a `Message`."""
        finished = [call.finished() for _, call in sorted(self._calls.items())]
        fields: dict[str, Any] = {
            "content": self.content,
            "id": self.id,
            "tool_calls": [call for call in finished if call["type"] == "tool_call"],
            "invalid_tool_calls": [call for call in finished if call["type"] != "tool_call"],
            "usage_metadata": self._usage,
            "response_metadata": dict(self._response),
        }
        if not langchain_installed():
            return Message(**fields)
        from langchain_core.messages import AIMessage

        return AIMessage(**fields)


# --- parts of messages -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Part:
    """What one item of a source adds to the message."""

    content: str
    calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    usage: dict[str, int] | None = None
    response: dict[str, Any] = field(default_factory=dict[str, Any])

    def __bool__(self) -> bool:
        return bool(self.content or self.calls or self.usage or self.response)


def _chunk(part: _Part, message_id: str) -> Any:
    fields: dict[str, Any] = {
        "content": part.content,
        "id": message_id,
        "tool_call_chunks": part.calls,
        "usage_metadata": part.usage,
        "response_metadata": part.response,
    }
    if not langchain_installed():
        return MessageChunk(**fields)
    from langchain_core.messages import AIMessageChunk

    return AIMessageChunk(**fields)


class _Call:
    """A tool call as it grows."""

    def __init__(self) -> None:
        self._name = ""
        self._id: str | None = None
        self._arguments: list[str] = []

    def add(self, part: Mapping[str, Any]) -> None:
        self._name += part["name"] or ""
        self._id = self._id or part["id"]
        self._arguments.append(part["args"] or "")

    def finished(self) -> dict[str, Any]:
        """The call, with its arguments as a dict; as an invalid one where they are no JSON object."""
        text = "".join(self._arguments)
        call: dict[str, Any] = {"name": self._name, "args": text, "id": self._id}
        try:
            arguments = json.loads(text or "{}", strict=False)
        except ValueError as error:
            return {**call, "type": "invalid_tool_call", "error": str(error)}
        if not isinstance(arguments, dict):
            return {**call, "type": "invalid_tool_call", "error": "the arguments are not a JSON object"}
        return {**call, "args": arguments, "type": "tool_call"}


def _part_of_completion(chunk: Any) -> _Part:
    """What a chunk of OpenAI's chat completions adds, of its first choice."""
    if (choices := _get(chunk, "choices")) is None:
        kind = cast("type[Any]", type(chunk))
        raise TypeError(
            f"expected a text or a chunk of a chat completion, got {kind.__module__}.{kind.__qualname__}. "
            "Say where its text is: text=lambda item: ..."
        )
    part = _Part("")
    if usage := _get(chunk, "usage"):
        part.usage = {
            "input_tokens": _get(usage, "prompt_tokens") or 0,
            "output_tokens": _get(usage, "completion_tokens") or 0,
            "total_tokens": _get(usage, "total_tokens") or 0,
        }
    # Chunks that only tell the usage have no choice; those of further answers (`n=2`) have another index.
    choice = next((choice for choice in choices if not _get(choice, "index")), None)
    if choice is None:
        return part
    if reason := _get(choice, "finish_reason"):
        part.response = {"finish_reason": reason, "model_name": _get(chunk, "model")}
    if delta := _get(choice, "delta"):
        part.content = _get(delta, "content") or ""
        part.calls = [_part_of_call(call) for call in _get(delta, "tool_calls") or ()]
    return part


def _part_of_call(call: Any) -> dict[str, Any]:
    function = _get(call, "function")
    return {
        "name": _get(function, "name"),
        "args": _get(function, "arguments"),
        "id": _get(call, "id"),
        "index": _get(call, "index") or 0,
        "type": "tool_call_chunk",
    }


def _get(thing: Any, name: str) -> Any:
    """An attribute of an object, or a key of a dict; None where it has none."""
    if isinstance(thing, Mapping):
        return cast("Mapping[str, Any]", thing).get(name)
    return getattr(thing, name, None)


__all__ = ["Message", "MessageChunk", "MessageWriter", "astream_message", "stream_message"]
