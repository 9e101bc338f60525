"""Reading what Redis has: records of whatever is in the fields."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetgraph.dashboard.records import (
    JOB_FIELDS,
    RUN_FIELDS,
    WORKER_FIELDS,
    CoordinatorRecord,
    RunRecord,
    TaskRecord,
    WorkerRecord,
)

FIELD = st.one_of(
    st.none(),
    st.binary(max_size=12),
    st.sampled_from(
        [b"running", b"queued", b"started", b"r t 1 c", b"r t one c", b"nan", b"1e999", b"-5", b"12.5", b"{}", b"[1]"]
    ),
    st.sampled_from(
        [b'{"graphs": {"a": 1}}', b'{"graphs": [], "concurrency": "x"}', b"0001-01-01T00:00:00Z", b"[" * 9000]
    ),
)


def fields(names: tuple[str, ...]) -> st.SearchStrategy[list[bytes | None]]:
    return st.lists(FIELD, min_size=len(names), max_size=len(names))


@given(fields(RUN_FIELDS), fields(JOB_FIELDS), fields(WORKER_FIELDS), st.dictionaries(st.binary(max_size=8), FIELD))
def test_anything_is_read(run: list[Any], job: list[Any], worker: list[Any], coordinator: dict[bytes, Any]) -> None:
    assert (RunRecord.of("r", run, 0) is None) == (run[0] is None)
    task = TaskRecord.of("j", job, None)
    assert task is None or task.waits == (job[1] == b"queued")
    WorkerRecord.of("w", worker, 0)
    assert CoordinatorRecord.of("c", 1.0, coordinator, 0).id == "c"


@pytest.mark.parametrize(
    ("description", "node", "step"),
    [
        ("LangGraph.think (step 3)", "think", 3),
        ("LangGraph.a.b (step -1)", "a.b", -1),
        ("LangGraph.odd (step 2) (step 4)", "odd (step 2)", 4),
        ("something else", "something else", None),
    ],
)
def test_a_description_tells_node_and_superstep(description: str, node: str, step: int | None) -> None:
    values = [b"r t 2 c", b"started", description.encode(), b"w", b"", b"2026-01-31T23:59:59.5Z", b"q"]
    task = TaskRecord.of("r-t-2", values, 7.0)
    assert task is not None
    assert (task.node, task.step, task.run, task.id, task.attempt, task.worker) == (node, step, "r", "t", 2, "w")
    assert task.enqueued == 1769903999.5
