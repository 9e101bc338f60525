"""What a caller's iterator yields: a payload, bare or labelled with its mode and namespace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from fleetgraph.channels.base import MISSING
from fleetgraph.constants import START
from fleetgraph.pregel.reserved import INTERRUPT
from fleetgraph.types import STREAM_MODES, GraphOutput, StreamMode

Version = Literal["v1", "v2"]
Namespace = tuple[str, ...]
Coercion = Callable[[dict[str, Any]], Any]
"""Makes an instance of a schema out of a mapping."""


@dataclass(frozen=True, slots=True)
class ChunkFormat:
    """How one caller wants its chunks.

    Attributes:
        modes: The modes it asked for, all of them.
        labelled: Whether each chunk says its mode, which it does when modes were given as a list.
        subgraphs: Whether each chunk says its namespace.
        version: `v2` makes every chunk a `StreamPart`.
        coerce_output: Makes the output schema's class out of a `values` payload, for `v2`.
        coerce_state: Makes the state's class out of the values of a checkpoint, for `v2`.
    """

    modes: frozenset[str]
    labelled: bool
    subgraphs: bool
    version: Version
    coerce_output: Coercion | None = None
    coerce_state: Coercion | None = None
    printed: frozenset[str] = frozenset()
    """The modes whose chunks are printed."""
    ns: Namespace = ()
    """The namespace of the graph that was called."""

    @classmethod
    def of(
        cls,
        stream_mode: StreamMode | Sequence[StreamMode],
        subgraphs: bool,
        version: Version,
        coerce_output: Coercion | None,
        coerce_state: Coercion | None,
        printed: StreamMode | Sequence[StreamMode] = (),
        ns: Namespace = (),
    ) -> ChunkFormat:
        """The format that a call's arguments ask for.

        Raises:
            ValueError: A version or mode that does not exist.
        """
        if version not in ("v1", "v2"):
            raise ValueError(f"Unknown version {version!r}: choose 'v1' or 'v2'.")
        modes = (stream_mode,) if isinstance(stream_mode, str) else tuple(stream_mode)
        prints = (printed,) if isinstance(printed, str) else tuple(printed)
        check_modes((*modes, *prints))
        labelled = isinstance(stream_mode, list)
        return cls(frozenset(modes), labelled, subgraphs, version, coerce_output, coerce_state, frozenset(prints), ns)

    @property
    def all_modes(self) -> frozenset[str]:
        """The modes whose chunks are wanted, to be yielded or to be printed."""
        return self.modes | self.printed

    def chunk(self, mode: str, payload: Any, ns: Namespace = ()) -> Any:
        """The chunk for one payload; MISSING where the caller wants none of it."""
        if ns != self.ns and not self.subgraphs and mode != "custom":
            return MISSING
        if mode in self.printed:
            place = f"{ns} " if self.subgraphs else ""
            print(f"\033[1m[{mode}]\033[0m {place}{payload}")
        if mode not in self.modes:
            return MISSING
        if self.version == "v2":
            return self._part(mode, payload, ns)
        if self.labelled:
            return (ns, mode, payload) if self.subgraphs else (mode, payload)
        return (ns, payload) if self.subgraphs else payload

    def _part(self, mode: str, payload: Any, ns: Namespace) -> dict[str, Any]:
        part: dict[str, Any] = {"type": mode, "ns": ns, "data": payload}
        if mode == "values":
            part["interrupts"] = ()
            if isinstance(payload, Mapping) and INTERRUPT in payload:
                state = dict(cast("Mapping[str, Any]", payload))
                part["interrupts"] = tuple(state.pop(INTERRUPT))
                part["data"] = state
            part["data"] = _coerced(part["data"], self.coerce_output)
        elif mode == "checkpoints":
            part["data"] = self._checkpoint(payload)
        elif mode == "debug" and payload["type"] == "checkpoint":
            part["data"] = {**payload, "payload": self._checkpoint(payload["payload"])}
        return part

    def _checkpoint(self, payload: dict[str, Any]) -> dict[str, Any]:
        if START in payload["next"]:  # the input has not been applied: no instance of the state could be made
            return payload
        return {**payload, "values": _coerced(payload["values"], self.coerce_state)}


def _coerced(state: Any, coerce: Coercion | None) -> Any:
    return coerce(cast("dict[str, Any]", state)) if coerce is not None and isinstance(state, dict) else state


class Result:
    """What `invoke` makes of the chunks of its run: the last state, or all chunks of another mode."""

    def __init__(self, stream_mode: StreamMode | Sequence[StreamMode], version: Version) -> None:
        self.whole = stream_mode == "values"
        self.version = version
        self.last: Any = None
        self.interrupts: list[Any] = []
        self.chunks: list[Any] = []

    def add(self, chunk: Any) -> None:
        if self.whole:
            self.last = chunk
            if self.version == "v2":
                self.interrupts += chunk["interrupts"]
            elif isinstance(chunk, dict) and INTERRUPT in chunk:
                self.interrupts += cast("dict[str, Any]", chunk)[INTERRUPT]
        else:
            self.chunks.append(chunk)

    @property
    def value(self) -> Any:
        if not self.whole:
            return self.chunks
        if self.version == "v2":
            return GraphOutput(None if self.last is None else self.last["data"], tuple(self.interrupts))
        if self.interrupts:
            return {**self.last, INTERRUPT: self.interrupts}
        return self.last


def check_modes(modes: Sequence[str]) -> None:
    """Refuse modes that do not exist.

    Raises:
        ValueError: Names the modes there are.
    """
    for mode in modes:
        if mode not in STREAM_MODES:
            raise ValueError(f"Unknown stream mode {mode!r}: choose among {', '.join(STREAM_MODES)}.")
