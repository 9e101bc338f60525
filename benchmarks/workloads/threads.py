"""Configs for runs: each on a thread of its own, so that none begins with what another has saved."""

from __future__ import annotations

from typing import Any
from uuid import uuid4


def new_thread(**config: Any) -> dict[str, Any]:
    """The config of a run on a new thread."""
    return {**config, "configurable": {"thread_id": uuid4().hex}}
