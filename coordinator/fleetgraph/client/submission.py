"""What a client's arguments mean: the payload of a submit call, and the chunks that its caller wants to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args
from uuid import uuid4

from fleetgraph.client.reading import Modes, Reading
from fleetgraph.errors import NotSupported
from fleetgraph.stream.chunks import ChunkFormat, Version
from fleetgraph.types import All, Durability

OnDisconnect = Literal["cancel", "continue"]
"""Whether a run is cancelled when its reader closes its iterator early, or is killed."""
MultitaskStrategy = Literal["reject", "enqueue", "interrupt"]
"""On a thread where another run goes on, a run is refused, or waits, or has the other one cancelled."""

_STRATEGIES: Final = get_args(MultitaskStrategy)
_ON_DISCONNECT: Final = get_args(OnDisconnect)


@dataclass(frozen=True, slots=True)
class Submission:
    """A run that is to be submitted."""

    run: str
    """Its id: chosen here, so that submitting it again is harmless."""
    payload: dict[str, Any]
    """All but the graph's name."""
    reading: Reading
    on_disconnect: OnDisconnect


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of `stream`, `invoke` and `submit` that they have in common."""

    config: Mapping[str, Any] | None
    context: Any
    stream_mode: Modes | None
    output_keys: str | Sequence[str] | None
    interrupt_before: All | Sequence[str] | None
    interrupt_after: All | Sequence[str] | None
    durability: Durability | None
    subgraphs: bool
    version: Version
    on_disconnect: OnDisconnect
    multitask_strategy: MultitaskStrategy


def submission(input: Any, asked: Asked, *, whole: bool, asynchronous: bool, is_read: bool) -> Submission:
    """What to submit.

    Args:
        input: The graph's.
        asked: What the caller wants.
        whole: Whether it wants what the graph returns, and not what its state keeps.
        asynchronous: Whether the caller is a coroutine.
        is_read: Whether the caller reads the run from its beginning, so that it is gone if nobody does.

    Raises:
        ValueError: A mode, version, strategy or reaction that does not exist.
        NotSupported: The strategy `rollback`.
    """
    strategy = cast(str, asked.multitask_strategy)
    if strategy == "rollback":
        raise NotSupported("multitask_strategy='rollback': a thread's checkpoints are not undone")
    _check("multitask_strategy", strategy, _STRATEGIES)
    _check("on_disconnect", asked.on_disconnect, _ON_DISCONNECT)
    modes = asked.stream_mode
    chunks = ChunkFormat.of("updates" if modes is None else modes, asked.subgraphs, asked.version, None, None)
    keys = asked.output_keys
    run = uuid4().hex
    payload: dict[str, Any] = {
        "run": run,
        "input": input,
        "config": None if asked.config is None else dict(asked.config),
        "context": asked.context,
        "modes": sorted(chunks.modes),
        "output_keys": keys if keys is None or isinstance(keys, str) else list(keys),
        "whole": whole,
        "interrupt_before": _nodes(asked.interrupt_before),
        "interrupt_after": _nodes(asked.interrupt_after),
        "durability": asked.durability,
        "subgraphs": asked.subgraphs,
        "multitask_strategy": strategy,
        "on_disconnect": asked.on_disconnect if is_read else "continue",
        "asynchronous": asynchronous,
    }
    return Submission(run, payload, Reading(chunks), asked.on_disconnect)


def with_thread(method: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """A config that has to name a thread.

    Raises:
        KeyError: It names none.
    """
    if "thread_id" not in (config.get("configurable") or {}):
        raise KeyError(
            f"{method} needs the id of a thread in its config: {{'configurable': {{'thread_id': ...}}}}, "
            f"not {dict(config)}"
        )
    return dict(config)


def _check(what: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise ValueError(f"Unknown {what} {given!r}: choose among {', '.join(known)}.")


def _nodes(nodes: All | Sequence[str] | None) -> Any:
    return nodes if nodes is None or isinstance(nodes, str) else list(nodes)
