"""What commands print: lines for people, or JSON, one object a line, for programs."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from math import isfinite
from typing import Any, cast

from fleetgraph.client import Chunks, RunInfo
from fleetgraph.types import STREAM_MODES, StateSnapshot
from fleetgraph.wire.transitions import RunStatus

_WIDTH = max(map(len, STREAM_MODES))


# --- values ----------------------------------------------------------------------------------------------------------


def to_json(value: Any) -> str:
    """`value` on one line of JSON; what JSON does not know becomes the nearest thing it does, or text."""
    plain = _plain(value)
    text = json.dumps(plain, ensure_ascii=False)
    # Half a surrogate pair can't be printed as it is.
    return text if _is_encodable(text) else json.dumps(plain)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    match value:
        case float() if not isfinite(value):
            return str(value)  # JSON has no NaN
        case None | bool() | int() | float():
            return value
        case Enum():
            return _plain(value.value)
        case str():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case tuple() if (fields_of := getattr(cast(Any, value), "_asdict", None)) is not None:
            return _plain(fields_of())
        case Mapping():
            items = cast("Mapping[Any, Any]", value).items()
            return {key if isinstance(key, str) else str(_plain(key)): _plain(item) for key, item in items}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in cast("Iterable[Any]", value)]
        case BaseException():
            return _failure(value)
        case _:
            return _plain_object(value)


def _plain_object(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    dump = getattr(value, "model_dump", None)
    return str(value) if dump is None else _plain(dump())


def _failure(error: BaseException) -> str:
    text = str(error)
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind


def shown(mode: str, data: Any) -> str:
    """The payload of a chunk, for people."""
    if mode == "messages" and isinstance(data, tuple | list) and len(cast("Sequence[Any]", data)) == 2:
        message, metadata = cast("Sequence[Any]", data)
        content = cast("dict[str, Any]", message).get("content") if isinstance(message, dict) else message.content
        return f"{content!r} from {metadata.get('langgraph_node')}"
    return to_json(data)


# --- runs ------------------------------------------------------------------------------------------------------------


def show_run(chunks: Chunks, *, as_json: bool, graph: str = "", thread: str | None = None) -> int:
    """Print the chunks of a run while it runs, and how it ended. Returns the exit status: 0 if it did as it should.

    Raises:
        Exception: What kept it from reading the run to its end.
    """
    if as_json:
        print(to_json({"type": "run", "run": chunks.run_id}), flush=True)
    else:
        print(f"run {chunks.run_id}", file=sys.stderr, flush=True)
    asked: list[Any] = []
    try:
        for part in chunks:
            asked += _questions(part)
            print(to_json({"seq": chunks.seq, **part}) if as_json else _line(part), flush=True)
    except Exception as error:
        if chunks.status is None:  # it was not the run that failed
            raise
        return _failed(chunks, error, as_json=as_json)
    if as_json:
        print(to_json({"type": "run", "run": chunks.run_id, "status": chunks.status}), flush=True)
    elif chunks.status == RunStatus.INTERRUPTED:
        print(f"\nThe run waits. {_how_to_go_on(asked, graph, thread)}", file=sys.stderr)
    else:
        print(f"{chunks.status}", file=sys.stderr)
    return 0


def _failed(chunks: Chunks, error: Exception, *, as_json: bool) -> int:
    if as_json:
        end = {"type": "run", "run": chunks.run_id, "status": chunks.status, "error": error}
        print(to_json(end), flush=True)
    what = "was cancelled" if chunks.status == RunStatus.CANCELLED else f"failed: {_failure(error)}"
    print(f"fleetgraph: run {chunks.run_id} {what}", file=sys.stderr)
    return 1


def _questions(part: Mapping[str, Any]) -> list[Any]:
    """What a run asks, as far as a chunk tells."""
    data = part["data"]
    if part["ns"] or not isinstance(data, Mapping):
        return []
    return list(cast("Mapping[str, Any]", data).get("__interrupt__", ()))


def _how_to_go_on(asked: list[Any], graph: str, thread: str | None) -> str:
    answer = "--resume JSON" if asked else "--resume null"
    command = f"fleetgraph run {graph or 'GRAPH'} --thread {thread or 'ID'} {answer}"
    if not asked:
        return f"Go on: {command}"
    questions = "; ".join(to_json(one.value) for one in asked)
    return f"It asks: {questions}\nAnswer: {command}"


def _line(part: Mapping[str, Any]) -> str:
    place = f"{'|'.join(part['ns'])}  " if part["ns"] else ""
    return f"{part['type']:<{_WIDTH}}  {place}{shown(part['type'], part['data'])}"


def show_runs(runs: Sequence[RunInfo], *, as_json: bool) -> None:
    """Print runs: a table, or a line of JSON for each."""
    if as_json:
        for run in runs:
            print(to_json(run))
        return
    rows = [("RUN", "STATUS", "GRAPH", "THREAD", "CREATED", "EVENTS", "ERROR")]
    for run in runs:
        error = (run.error or "").partition("\n")[0]
        rows.append((run.id, run.status, run.graph, run.thread or "-", _local(run.created), str(run.seq), error))
    for line in _table(rows):
        print(line)


def _local(time: datetime | None) -> str:
    return "-" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in padded]


# --- threads ---------------------------------------------------------------------------------------------------------


def show_state(snapshot: StateSnapshot, *, as_json: bool) -> None:
    """Print a thread's state: a few lines, or one of JSON."""
    if as_json:
        print(to_json(snapshot))
        return
    configurable = snapshot.config.get("configurable", {})
    metadata = snapshot.metadata or {}
    print(f"checkpoint  {configurable.get('checkpoint_id', '-')}  step {metadata.get('step', '-')}")
    print(f"created     {snapshot.created_at or '-'}")
    print(f"next        {', '.join(snapshot.next) or 'nothing'}")
    for one in snapshot.interrupts:
        print(f"asks        {to_json(one.value)}")
    values: Any = snapshot.values
    if not isinstance(values, Mapping):
        print(f"value       {to_json(values)}")
        return
    for name, value in cast("Mapping[str, Any]", values).items():
        print(f"  {name} = {to_json(value)}")
