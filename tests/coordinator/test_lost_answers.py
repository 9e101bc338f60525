"""A coordinator loses any of its round trips, and sends it again: nothing is lost, nothing done twice."""

from __future__ import annotations

import pytest

from fleetgraph.wire.events import RUN
from tests.coordinator.losing import LosingRedis, Loss
from tests.coordinator.test_takeover import Stage, expected, ran, stage, told
from tests.waiting import wait_until

__all__ = ["stage"]

ONCE = {"first": 1, "item 0": 1, "item 1": 1, "item 2": 1, "double": 1, "flaky": 2}


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("stage", "loss"),
    [("redis", Loss.ANSWERS), ("memory", Loss.ANSWERS), ("none", Loss.HALF), ("redis", Loss.SCRIPTS)],
    indirect=["stage"],
)
def test_whichever_round_trip_is_lost_the_run_goes_on(stage: Stage, loss: Loss) -> None:
    undisturbed, trips = expected(stage)
    states = [event.payload for event in undisturbed if event.mode == "values"]
    losses = 0
    for chosen in range(1, trips + 3):
        ran.clear()
        client = LosingRedis.plan(stage.url, chosen, loss)
        coordinator = stage.coordinator(client)
        run = stage.submit(coordinator)
        where = f"lost {loss.value} round trip {chosen} of {trips}"
        wait_until(lambda run=run: stage.ended(run), 20, f"the end of the run that {where}")
        losses += client.lost
        wait_until(lambda client=client: not client.lost or client.trips > client.chosen, 20, "the next try")
        coordinator.check()
        coordinator.close()  # what it sends again has arrived then: it may save a checkpoint once more

        events = stage.events(run)
        assert told(events) == told(undisturbed), where
        assert [event.payload for event in events if event.mode == "values"] == states, where
        assert [event.mode for event in events].count(RUN) == 1, where
        assert {event.attempt for event in events} <= {0, 1}, where
        assert ran == ONCE, where
        if stage.graph.checkpointer:
            history = list(stage.graph.get_state_history({"configurable": {"thread_id": "1"}}))
            shown = [event.payload for event in undisturbed if event.mode == "values" and not event.ns]
            assert [state.values for state in reversed(history)][1:] == shown, where
            assert len({state.config["configurable"]["checkpoint_id"] for state in history}) == 6, where
            stage.graph.checkpointer.delete_thread("1")
    assert losses > 5
