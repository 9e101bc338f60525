"""What can't travel between the processes of a fleet, told by the names that its author gave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fleetgraph.errors import EncodeError
from fleetgraph.fleet import Fleet
from fleetgraph.func import entrypoint, task


class Odd:
    """Nothing says how this could travel."""


@task
def takes(item: Any, *more: Any, option: Any = None) -> Any:
    return 1


@task
def inner(item: Any) -> Any:
    return takes(item).result()


@entrypoint()
def workflow(given: str) -> Any:
    odd = {"deep": [Odd()]}
    match given:
        case "positional":
            return takes(odd).result()
        case "further":
            return takes(1, 2, odd).result()
        case "by name":
            return takes(1, option=odd).result()
        case "too many":
            return inner(1, odd).result()  # type: ignore[call-arg]
        case "future":
            return takes(1)
        case "futures":
            return {"all": [takes(1), takes(2)]}
        case _:
            return takes(1).result()


@entrypoint()
async def coroutine(given: Any) -> Any:
    return takes(given)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet.inline(workers=1) as fleet:
        yield fleet


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ("positional", "argument item of 'takes'"),
        ("further", "argument 3 of 'takes'"),
        ("by name", "argument option of 'takes'"),
        ("too many", "argument 2 of 'inner'"),
    ],
)
def test_an_argument_of_a_task(fleet: Fleet, given: str, argument: str) -> None:
    with pytest.raises(EncodeError) as caught:
        workflow.on(fleet).invoke(given)
    error = caught.value
    assert (error.path, error.kind) == ("$.deep[0]", f"{__name__}.Odd")
    assert error.where.startswith("graph '")
    assert error.where.endswith(f"', node 'workflow', {argument}")
    assert workflow.on(fleet).invoke("") == 1, "the worker goes on"


@pytest.mark.parametrize(("graph", "given"), [(workflow, "future"), (workflow, "futures"), (coroutine, 1)])
def test_a_result_that_nobody_has_waited_for(fleet: Fleet, graph: Any, given: Any) -> None:
    with pytest.raises(EncodeError, match="A @task's result is a future: await it, or ask for its result"):
        graph.on(fleet).invoke(given)
