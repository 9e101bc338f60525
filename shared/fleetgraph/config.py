"""The config of a run, and what running code can find out about it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict, cast
from uuid import UUID

from fleetgraph.pregel.context import current
from fleetgraph.types import StreamWriter

DEFAULT_RECURSION_LIMIT: Final = int(os.environ.get("LANGGRAPH_DEFAULT_RECURSION_LIMIT", "10007"))
"""Supersteps a run may take when its config does not say; LangGraph's default, under LangGraph's name."""


class RunnableConfig(TypedDict, total=False):
    """How to run a graph. Keys it does not know are taken as `configurable` ones."""

    tags: list[str]
    metadata: dict[str, Any]
    callbacks: Any
    run_name: str
    max_concurrency: int | None
    recursion_limit: int
    """Supersteps the run may take, at least 1."""
    configurable: dict[str, Any]
    """`thread_id`, `checkpoint_id`, and whatever nodes want to read."""
    run_id: UUID | None


_KEYS = frozenset(RunnableConfig.__annotations__)


def merge_configs(*configs: Mapping[str, Any] | None) -> RunnableConfig:
    """One config out of several: tags concatenate, metadata and configurable merge, else the last one wins.

    Raises:
        ValueError: The recursion limit or the concurrency is below 1.
        TypeError: One of them is no number.
    """
    merged: dict[str, Any] = {"recursion_limit": DEFAULT_RECURSION_LIMIT}
    tags: list[str] = []
    metadata: dict[str, Any] = {}
    configurable: dict[str, Any] = {}
    for config in configs:
        for key, value in (config or {}).items():
            if value is None:
                continue
            match key:
                case "tags":
                    tags.extend(tag for tag in cast("Sequence[str]", value) if tag not in tags)
                case "metadata":
                    metadata.update(value)
                case "configurable":
                    configurable.update(value)
                case key if key in _KEYS:
                    merged[key] = value
                case _:
                    configurable[key] = value
    for name in ("recursion_limit", "max_concurrency"):
        number = merged.get(name, 1)
        try:
            too_small = number < 1
        except TypeError:
            raise TypeError(f"{name} must be a number, at least 1, not {number!r}") from None
        if too_small:
            raise ValueError(f"{name} must be at least 1")
    return cast(RunnableConfig, merged | {"tags": tags, "metadata": metadata, "configurable": configurable})


def get_config() -> RunnableConfig:
    """The config of the node that is running.

    Raises:
        RuntimeError: Nothing is running here.
    """
    return cast(RunnableConfig, current().config)


def get_stream_writer() -> StreamWriter:
    """The writer of `custom` chunks of the node that is running; does nothing unless somebody streams `custom`.

    Raises:
        RuntimeError: Nothing is running here.
    """
    return current().writer


def get_store() -> Any:
    """The store of the graph that is running.

    Raises:
        RuntimeError: Nothing is running here.
    """
    return current().runtime.store


__all__ = ["RunnableConfig", "get_config", "get_store", "get_stream_writer"]
