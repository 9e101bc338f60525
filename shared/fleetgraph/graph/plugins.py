"""What a graph is compiled with: savers, stores and caches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def allow_types(schemas: Iterable[Any], *plugins: Any) -> None:
    """Let those that encode values carry the classes that a graph's schemas mention."""
    encoding = [plugin for plugin in plugins if hasattr(plugin, "allow")]
    if encoding:
        from fleetgraph.wire.allowlist import collect_types

        types = collect_types(*schemas)
        for plugin in encoding:
            plugin.allow(*types)
