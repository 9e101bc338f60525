"""The audit of the chaos run finds what it is there to find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis

from fleetgraph.wire import keys
from fleetgraph.wire.codec import Codec
from tests.chaos.audit import Audit
from tests.chaos.findings import Findings

RESULT: dict[str, Any] = {"id": "t", "name": "node", "error": None, "result": {}, "interrupts": []}
UPDATE: list[Any] = ["updates", [], "t", 1, 0.0, {"node": 1}]
END: list[Any] = ["run", [], "", 0, 0.0, {"status": "success", "error": None}]
SEEN = ((), "updates", {"node": 1})


def ended(attempt: int) -> list[Any]:
    return ["tasks", [], "t", attempt, 0.0, RESULT]


def audited(
    client: redis.Redis, messages: list[tuple[int, list[Any]]], chunks: list[Any], ledger: Path | None = None
) -> list[str]:
    """The kinds of violations in a run with this log, of which a reader saw these chunks."""
    for seq, events in messages:
        client.xadd(keys.log("r"), {"m": Codec().encode([seq, events])}, id=f"{seq}-0")
    findings = Findings(verbose=False)
    audit = Audit(client, findings)
    audit.add("r", "mark", chunks, "success")
    if ledger is not None:
        audit.compare(ledger)
    return [violation.kind for violation in findings.violations]


def test_a_run_as_it_should_be(redis_client: redis.Redis) -> None:
    assert audited(redis_client, [(1, [UPDATE]), (2, [END])], [SEEN]) == []


def test_a_gap_in_the_log(redis_client: redis.Redis) -> None:
    found = audited(redis_client, [(1, [UPDATE]), (3, [END])], [SEEN])

    assert found == ["the log has a gap"]


@pytest.mark.parametrize("chunks", [[], [SEEN, SEEN]])
def test_a_reader_that_missed_something_or_saw_it_twice(redis_client: redis.Redis, chunks: list[Any]) -> None:
    found = audited(redis_client, [(1, [UPDATE]), (2, [END])], chunks)

    assert found == ["a reader saw something else than the log has"]


@pytest.mark.parametrize("messages", [[(1, [UPDATE])], [(1, [END]), (2, [UPDATE])], [(1, [UPDATE]), (3, [END, END])]])
def test_a_log_without_one_end(redis_client: redis.Redis, messages: list[Any]) -> None:
    assert audited(redis_client, messages, [SEEN]) == ["the log does not end once"]


def test_a_task_that_ended_twice(redis_client: redis.Redis) -> None:
    seen: Any = ((), "tasks", RESULT)

    found = audited(redis_client, [(1, [ended(1)]), (2, [ended(1)]), (3, [END])], [seen, seen])

    assert found == ["a task ended more than once"]


@pytest.mark.parametrize(
    ("attempt", "times", "expected"),
    [(1, 1, []), (2, 2, []), (2, 1, []), (1, 2, ["a task ran more often than it was lost"])],
)
def test_a_task_that_ran_too_often(
    redis_client: redis.Redis, tmp_path: Path, attempt: int, times: int, expected: list[str]
) -> None:
    ledger = tmp_path / "ledger"
    ledger.write_text("begin mark t 1\n" * times + "end mark t 1\n")
    messages = [(1, [ended(attempt)]), (2, [END])]

    assert audited(redis_client, messages, [((), "tasks", RESULT)], ledger) == expected
