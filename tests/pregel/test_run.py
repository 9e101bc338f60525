"""What runs are labelled with."""

from __future__ import annotations

from datetime import UTC, datetime

from fleetgraph.pregel.run import now


def test_the_time_is_utc_and_says_so() -> None:
    before = datetime.now(UTC)
    told = datetime.fromisoformat(now())
    assert before <= told <= datetime.now(UTC)
    assert told.tzinfo == UTC
