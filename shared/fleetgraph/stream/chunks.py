"""What a caller's iterator yields: a payload, bare or labelled with its mode and namespace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from fleetgraph.types import STREAM_MODES, GraphOutput, StreamMode

Version = Literal["v1", "v2"]
Namespace = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChunkFormat:
    """How one caller wants its chunks.

    Attributes:
        modes: The modes it asked for, all of them.
        labelled: Whether each chunk says its mode, which it does when modes were given as a list.
        subgraphs: Whether each chunk says its namespace.
        version: `v2` makes every chunk a `StreamPart`.
        coerce: Makes the state's class out of a `values` payload, for `v2`.
    """

    modes: frozenset[str]
    labelled: bool
    subgraphs: bool
    version: Version
    coerce: Callable[[dict[str, Any]], Any] | None = None

    @classmethod
    def of(
        cls,
        stream_mode: StreamMode | Sequence[StreamMode],
        subgraphs: bool,
        version: Version,
        coerce: Callable[[dict[str, Any]], Any] | None,
    ) -> ChunkFormat:
        """The format that a call's arguments ask for.

        Raises:
            ValueError: A version or mode that does not exist.
        """
        if version not in ("v1", "v2"):
            raise ValueError(f"Unknown version {version!r}: choose 'v1' or 'v2'.")
        modes = (stream_mode,) if isinstance(stream_mode, str) else tuple(stream_mode)
        check_modes(modes)
        return cls(frozenset(modes), isinstance(stream_mode, list), subgraphs, version, coerce)

    def chunk(self, mode: str, payload: Any, ns: Namespace = ()) -> Any:
        """The chunk for one payload."""
        if self.version == "v2":
            return self._part(mode, payload, ns)
        if self.labelled:
            return (ns, mode, payload) if self.subgraphs else (mode, payload)
        return (ns, payload) if self.subgraphs else payload

    def _part(self, mode: str, payload: Any, ns: Namespace) -> dict[str, Any]:
        part: dict[str, Any] = {"type": mode, "ns": ns, "data": payload}
        if mode == "values":
            part["interrupts"] = ()
            if isinstance(payload, Mapping) and "__interrupt__" in payload:
                state = dict(cast("Mapping[str, Any]", payload))
                part["interrupts"] = tuple(state.pop("__interrupt__"))
                part["data"] = state
            if self.coerce is not None and isinstance(part["data"], dict) and not ns:
                part["data"] = self.coerce(cast("dict[str, Any]", part["data"]))
        return part


class Result:
    """What `invoke` makes of the chunks of its run: the last state, or all chunks of another mode."""

    def __init__(self, stream_mode: StreamMode | Sequence[StreamMode], version: Version) -> None:
        self.whole = stream_mode == "values"
        self.version = version
        self.last: Any = None
        self.chunks: list[Any] = []

    def add(self, chunk: Any) -> None:
        if self.whole:
            self.last = chunk
        else:
            self.chunks.append(chunk)

    @property
    def value(self) -> Any:
        if not self.whole:
            return self.chunks
        if self.version == "v2":
            return GraphOutput(None) if self.last is None else GraphOutput(self.last["data"], self.last["interrupts"])
        return self.last


def check_modes(modes: Sequence[str]) -> None:
    """Refuse modes that do not exist.

    Raises:
        ValueError: Names the modes there are.
    """
    for mode in modes:
        if mode not in STREAM_MODES:
            raise ValueError(f"Unknown stream mode {mode!r}: choose among {', '.join(STREAM_MODES)}.")
