"""Reading a run: from its events to the chunks that one reader wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fleetgraph.channels.base import MISSING
from fleetgraph.client.records import RunInfo
from fleetgraph.errors import FleetError, RemoteNodeError
from fleetgraph.stream.chunks import ChunkFormat, Result, Version
from fleetgraph.types import STREAM_MODES, StreamMode
from fleetgraph.wire.events import RUN, Event
from fleetgraph.wire.transitions import RunStatus

Modes = StreamMode | Sequence[StreamMode]


@dataclass(frozen=True, slots=True)
class Reading:
    """Which of a run's events one reader wants, and as what."""

    format: ChunkFormat | None
    """None for all modes that the run streams, each chunk with its mode."""
    subgraphs: bool = False
    """Whether chunks say their namespace; of the format, where there is one."""
    ns: tuple[str, ...] | None = None
    """The graph, inside the run's own, whose chunks are wanted: names of nodes, with or without ids of tasks."""

    def chunk(self, event: Event) -> Any:
        """The chunk for one event; MISSING where the reader wants none of it."""
        chunks = self.format or ChunkFormat(frozenset((event.mode,)), True, self.subgraphs, "v1")
        if self.ns is None:
            return chunks.chunk(event.mode, event.payload, event.ns)
        if not self._is_inside(event.ns, deeper=chunks.subgraphs):
            return MISSING
        return replace(chunks, ns=event.ns).chunk(event.mode, event.payload, event.ns)

    def _is_inside(self, ns: tuple[str, ...], *, deeper: bool) -> bool:
        wanted = self.ns or ()
        if len(ns) < len(wanted) or (len(ns) > len(wanted) and not deeper):
            return False
        return all(part in (one, one.partition(":")[0]) for part, one in zip(wanted, ns, strict=False))


def reading(stream_mode: Modes | None, subgraphs: bool, version: Version, ns: Sequence[str] | None) -> Reading:
    """What somebody who joins a run wants to see of it.

    Raises:
        ValueError: A mode or version that does not exist.
    """
    place = None if ns is None else (ns,) if isinstance(ns, str) else tuple(ns)
    if stream_mode is None and version == "v1":
        return Reading(None, subgraphs, place)
    modes = list(STREAM_MODES) if stream_mode is None else stream_mode
    return Reading(ChunkFormat.of(modes, subgraphs, version, None, None), subgraphs, place)


class Reader:
    """One reader of a run, with how far it has come.

    Args:
        run: The run's id.
        wanted: Which of its events are wanted.
        after: The number of the last event that is known.
    """

    def __init__(self, run: str, wanted: Reading, after: int = 0) -> None:
        self.run = run
        self.seq = after
        """The number of the event that the last chunk came from."""
        self.status: str | None = None
        """How the run ended; None while the end has not been read."""
        self._wanted = wanted

    def start_from(self, info: RunInfo) -> None:
        """Take into account what is on record of the run, before its events are read.

        Raises:
            FleetError: The run has no event of the number that is known.
        """
        if not 0 <= self.seq <= info.seq:
            raise FleetError(
                f"run {self.run} can be joined after 0 to {info.seq}, not after {self.seq}: it has {info.seq} events "
                "so far. If it had more once, Redis has lost the last ones."
            )
        if info.ended is not None and self.seq >= info.seq:
            self.seq = info.seq - 1  # only how it ended is left to be told

    def take(self, event: Event) -> Any:
        """The chunk for the next event; MISSING where none is wanted.

        Raises:
            Exception: What ended the run, if this is its end.
        """
        if event.mode == RUN:
            self.seq = event.seq
            self.status = event.payload["status"]
            self._raise_failure(event.payload.get("error"))
            return MISSING
        chunk = self._wanted.chunk(event)
        if chunk is not MISSING:
            self.seq = event.seq
        return chunk

    def _raise_failure(self, error: Any) -> None:
        if isinstance(error, Exception):
            raise error
        if isinstance(error, BaseException):  # a node that called sys.exit() does not end this program
            raise RemoteNodeError(type(error).__name__, str(error)) from error
        if error is not None or self.status == RunStatus.ERROR:  # what it failed with could not travel
            raise FleetError(f"run {self.run} failed: {error or 'nothing tells why'}")


class RunResult(Result):
    """The result of a run that may have been submitted by somebody else, made of its `values`."""

    def __init__(self, run: str) -> None:
        super().__init__("values", "v1")
        self._run = run
        self._empty = True

    def add(self, chunk: Any) -> None:
        self._empty = False
        super().add(chunk)

    @property
    def value(self) -> Any:
        """What `invoke` would have returned.

        Raises:
            FleetError: The run streamed no `values`.
        """
        if self._empty:
            raise FleetError(
                f"Run {self._run} streamed no `values`, of which its result is made: submit it with that mode."
            )
        return super().value
