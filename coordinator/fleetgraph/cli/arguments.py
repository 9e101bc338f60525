"""What people write on the command line, as what it means."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, cast

from fleetgraph.config import RunnableConfig

NOTHING: Any = object()
"""Where a value was not given, not even `null`."""


def json_value(text: str) -> Any:
    """A value given as JSON, or as `@FILE` that holds it."""
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text()
        except OSError as error:
            raise argparse.ArgumentTypeError(f"{text[1:]}: {error.strerror}") from None
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None


def positive(text: str) -> int:
    """A whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def json_object(text: str) -> dict[str, Any]:
    """An object given as JSON, or as `@FILE` that holds it."""
    value = json_value(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("must be a JSON object")
    return cast("dict[str, Any]", value)


def config_of(more: dict[str, Any] | None, thread: str | None) -> RunnableConfig:
    """The config of a run or thread: what was given, and the thread's id."""
    config: dict[str, Any] = dict(more or {})
    if thread is not None:
        config["configurable"] = {**config.get("configurable", {}), "thread_id": thread}
    return cast(RunnableConfig, config)
