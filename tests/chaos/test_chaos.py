"""A short chaos run. The long one is `python -m tests.chaos --minutes 10`."""

from __future__ import annotations

import pytest

from tests.chaos.running import Plan, report, run

SEED = 4


@pytest.mark.timeout(240)
@pytest.mark.long
def test_nothing_is_lost_whatever_fails() -> None:
    plan = Plan(seconds=15, seed=SEED, hosts=2, users=4, retention=20, pause=2, longest=5, verbose=False)

    findings = run(plan)

    assert not findings.violations, "\n".join([report(plan, findings), *findings.story])
    assert findings.counts["runs"] > 5
