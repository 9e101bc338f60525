"""The comparison hides what may differ between two runs, and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.types import GraphOutput, Interrupt

from tests.differential.harness import CASES, MODES, WAYS, Played, canonical, case, cases, expected, play
from tests.differential.libraries import library
from tests.differential.normalise import (
    Chunk,
    Ids,
    Layout,
    Misshapen,
    Superstep,
    canonical_run,
    freeze,
    layout_of,
    open_envelope,
)

# --- values ------------------------------------------------------------------------------------------------------


@dataclass
class Point:
    x: int


@dataclass
class OtherPoint:
    x: int


ID_1, ID_2 = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def frozen(value: Any) -> Any:
    return freeze(value, Ids())


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([1], (1,)),
        ({1}, frozenset({1})),
        (1, True),
        (0, False),
        (1, 1.0),
        (1, "1"),
        (None, "None"),
        (b"a", "a"),
        ("", None),
        ({}, None),
        ({"x": 1}, Point(1)),
        (Point(1), Point(2)),
        (Point(1), OtherPoint(1)),
        (ValueError("a"), ValueError("b")),
        (ValueError("a"), TypeError("a")),
        (ValueError("a"), "ValueError('a')"),
        ({"a": 1}, {"a": 1, "b": None}),
        ([1, 2], [2, 1]),
        (AIMessage("x", id="1"), AIMessage("x", id="2")),
        (AIMessage("x", id="1"), AIMessage("x")),
        (AIMessage("x", id="1"), HumanMessage("x", id="1")),
        (AIMessage("x", id="1"), AIMessage("y", id="1")),
        (AIMessage("x", id="1"), AIMessage("x", id="1", response_metadata={"k": 1})),
        (ID_1, "text"),
        (f"node:{ID_1}", f"other:{ID_2}"),
        (f"node:{ID_1}", f"node:{ID_1}|node:{ID_2}"),
        ((f"node:{ID_1}",), (f"node:{ID_1}", "1")),
        ("a limit of 0.050s", "a limit of 0.051s"),
        ([Interrupt("a", "1"), Interrupt("b", "2")], [Interrupt("b", "2"), Interrupt("a", "1")]),
        ({"__interrupt__": [Interrupt("a", "1")]}, {"__interrupt__": (Interrupt("a", "1"),)}),
        ({"__interrupt__": [Interrupt("a", "1")]}, {"__interrupt__": []}),
        (GraphOutput(1), GraphOutput(2)),
        (GraphOutput(1), GraphOutput(1, (Interrupt("a", "1"),))),
    ],
    ids=repr,
)
def test_different_values_stay_different(left: Any, right: Any) -> None:
    assert frozen(left) != frozen(right)
    assert frozen({"in": [left]}) != frozen({"in": [right]})


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (ID_1, ID_2),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({3, 1, 2}, {1, 2, 3}),
        ("2026-01-02T03:04:05.678901+00:00", "2027-01-02T03:04:05+00:00"),
        (f"node:{ID_1}", f"node:{ID_2}"),
        (ValueError(f"in {ID_1}"), ValueError(f"in {ID_2}")),
        ("too late (elapsed: 0.051s).", "too late (elapsed: 12.300s)."),
        ("<object at 0x7f00dead>", "<object at 0x7f00beef>"),
        (
            {"__interrupt__": [Interrupt("a", "1"), Interrupt("b", "2")]},
            {"__interrupt__": [Interrupt("b", "2"), Interrupt("a", "1")]},
        ),
        (
            GraphOutput(1, (Interrupt("a", "1"), Interrupt("b", "2"))),
            GraphOutput(1, (Interrupt("b", "2"), Interrupt("a", "1"))),
        ),
    ],
    ids=repr,
)
def test_what_may_differ_is_equal(left: Any, right: Any) -> None:
    assert frozen(left) == frozen(right)


def test_an_id_must_recur_where_it_recurred() -> None:
    a, b = ID_1, ID_2
    assert frozen([a, b, a]) == frozen([b, a, b])
    assert frozen([a, b, a]) != frozen([a, b, b])
    assert frozen([a, a]) != frozen([a, b])


def test_key_order_does_not_number_ids() -> None:
    a, b = ID_1, ID_2
    assert frozen({"x": a, "y": b}) == frozen({"y": b, "x": a})


# --- envelopes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "mode", "version"),
    [
        ({"a": 1}, ["updates"], "v1"),
        (["updates", {"a": 1}], ["updates"], "v1"),
        (("values", {"a": 1}), ["updates"], "v1"),
        (((), "updates", {"a": 1}), ["updates"], "v1"),
        ({"a": 1}, "updates", "v2"),
        (("updates", {"a": 1}), ["updates"], "v2"),
        ({"type": "updates", "ns": (), "data": 1, "interrupts": ()}, "updates", "v2"),
        ({"type": "values", "ns": (), "data": 1}, "values", "v2"),
        ({"type": "updates", "ns": [], "data": 1}, "updates", "v2"),
    ],
)
def test_wrong_envelopes_are_refused(raw: Any, mode: Any, version: str) -> None:
    with pytest.raises(Misshapen):
        open_envelope(raw, mode, version)


@pytest.mark.parametrize(
    ("raw", "mode"),
    [
        (("updates", {"a": 1}), ["updates"]),
        (((), {"a": 1}), ["updates"]),
        (([""], "updates", {"a": 1}), ["updates"]),
        (((), "values", {"a": 1}), ["updates"]),
        (("sub", "updates", {"a": 1}), ["updates"]),
        (((1,), "updates", {"a": 1}), ["updates"]),
        ({"a": 1}, "updates"),
        (((), "updates", {"a": 1}), "updates"),
        ((["sub:1"], {"a": 1}), "updates"),
    ],
)
def test_wrong_envelopes_of_subgraphs_are_refused(raw: Any, mode: Any) -> None:
    with pytest.raises(Misshapen):
        open_envelope(raw, mode, "v1", subgraphs=True)


@pytest.mark.parametrize(
    ("raw", "mode", "version", "subgraphs"),
    [
        ({"a": 1}, "updates", "v1", False),
        (("updates", {"a": 1}), ["updates"], "v1", False),
        ((("s:1", "1"), {"a": 1}), "updates", "v1", True),
        ((("s:1", "1"), "updates", {"a": 1}), ["updates"], "v1", True),
        ({"type": "updates", "ns": ("s:1", "1"), "data": {"a": 1}}, "updates", "v2", True),
    ],
)
def test_envelopes_are_opened(raw: Any, mode: Any, version: str, subgraphs: bool) -> None:
    ns = ("s:1", "1") if subgraphs else ()
    assert open_envelope(raw, mode, version, subgraphs=subgraphs) == Chunk("updates", {"a": 1}, raw, ns)


# --- order -------------------------------------------------------------------------------------------------------

IDS = {name: str(uuid4()) for name in ("a", "b", "w1", "w2", "end", "x", "y", "last")}


def start(task: str, node: str = "") -> Chunk:
    payload: dict[str, Any] = {"id": IDS[task], "name": node or task, "input": {}, "triggers": ()}
    return Chunk("tasks", payload, ("tasks", payload))


def result(task: str, node: str = "", error: Exception | None = None) -> Chunk:
    payload: dict[str, Any] = {
        "id": IDS[task],
        "name": node or task,
        "error": error,
        "result": {"from": task},
        "interrupts": [],
    }
    return Chunk("tasks", payload, ("tasks", payload))


def update(task: str, node: str = "") -> Chunk:
    payload = {node or task: {"from": task}}
    return Chunk("updates", payload, ("updates", payload))


def custom(task: str, n: int, node: str = "") -> Chunk:
    payload = {"task": f"{node}#{task}" if node else task, "n": n}
    return Chunk("custom", payload, ("custom", payload))


def message(task: str, text: str, node: str = "") -> Chunk:
    node = node or task
    payload = (AIMessage(text), {"langgraph_node": node, "langgraph_checkpoint_ns": f"{node}:{IDS[task]}"})
    return Chunk("messages", payload, ("messages", payload))


def values(n: int) -> Chunk:
    return Chunk("values", {"n": n}, ("values", {"n": n}))


def canon(chunks: Sequence[Chunk], layout: Layout = (), error: BaseException | None = None, **options: Any) -> Any:
    return canonical_run(chunks, error, layout, Ids(), **options)


TWO = [start("a"), start("b")]
A = [custom("a", 1), message("a", "hi"), custom("a", 2), update("a"), result("a")]
B = [message("b", "hu"), custom("b", 1), message("b", "ho"), update("b"), result("b")]
END = [values(1), start("end"), update("end"), result("end"), values(2)]


def zipped(*tasks: list[Chunk]) -> list[Chunk]:
    return [chunk for chunks in zip(*tasks, strict=True) for chunk in chunks]


@pytest.mark.parametrize("middle", [B + A, zipped(A, B), zipped(B, A), A[:2] + B + A[2:]])
def test_parallel_tasks_may_interleave(middle: list[Chunk]) -> None:
    assert canon(TWO + middle + END) == canon(TWO + A + B + END)


def swapped(chunks: list[Chunk], i: int, j: int) -> list[Chunk]:
    chunks = list(chunks)
    chunks[i], chunks[j] = chunks[j], chunks[i]
    return chunks


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(TWO + swapped(A, 0, 2) + B + END, id="custom of one task swapped"),
        pytest.param(TWO + A + swapped(B, 0, 2) + END, id="messages of one task swapped"),
        pytest.param(TWO + swapped(A, 1, 2) + B + END, id="custom and message of one task swapped"),
        pytest.param(TWO + swapped(A, 2, 3) + B + END, id="update before its custom"),
        pytest.param(TWO + A + swapped(B, 2, 3) + END, id="update before its message"),
        pytest.param(TWO + swapped(A, 3, 4) + B + END, id="result before its update"),
        pytest.param(TWO + A[:-1] + B + END, id="result missing"),
        pytest.param(TWO + A[1:] + B + END, id="custom missing"),
        pytest.param(TWO + A + B + END[:-1], id="last values missing"),
        pytest.param(TWO + A + B + END[1:], id="first values missing"),
        pytest.param(TWO + A + B[:-2] + [END[0], *B[-2:]] + END[1:], id="values before an update"),
        pytest.param(TWO + A + B[:-1] + [END[0], B[-1]] + END[1:], id="values before a result"),
        pytest.param(TWO[::-1] + A + B + END, id="starts swapped"),
        pytest.param([TWO[0], *A, TWO[1], *B, *END], id="second start late"),
        pytest.param(TWO + A + B + [A[0]] + END, id="custom doubled"),
        pytest.param(TWO + A + B + swapped(END, 0, 1), id="start before values"),
        pytest.param(TWO + A + B + swapped(END, 2, 3), id="result before update, alone in its superstep"),
    ],
)
def test_real_differences_show(wrong: list[Chunk]) -> None:
    assert canon(wrong) != canon(TWO + A + B + END)


SENT = [start("w1", "w"), start("w2", "w")]
W1 = [custom("1", 1, "w"), message("w1", "x", "w"), custom("1", 2, "w"), update("w1", "w"), result("w1", "w")]
W2 = [custom("2", 1, "w"), message("w2", "y", "w"), custom("2", 2, "w"), update("w2", "w"), result("w2", "w")]


@pytest.mark.parametrize("middle", [W2 + W1, zipped(W1, W2), W1[:1] + W2 + W1[1:], zipped(W2, W1)])
def test_sent_tasks_may_interleave(middle: list[Chunk]) -> None:
    assert canon(SENT + middle + END) == canon(SENT + W1 + W2 + END)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(swapped(W1, 0, 2) + W2, id="custom of one task swapped"),
        pytest.param(swapped(W1, 2, 3) + W2, id="update before its custom"),
        pytest.param([*W1[:1], *W1[2:4], W1[1], W1[4], *W2], id="update before its message"),
        pytest.param(swapped(W1, 3, 4) + W2, id="result before its update"),
        pytest.param([W1[3], W2[3], *W1[:3], *W2[:3], W1[4], W2[4]], id="both updates first"),
        pytest.param([*W1, *W2[:3], W2[4]], id="an update missing"),
        pytest.param([*W1, *W1], id="one task twice"),
        pytest.param([*W1[:4], *W2], id="a result missing"),
    ],
)
def test_real_differences_of_sent_tasks_show(wrong: list[Chunk]) -> None:
    assert canon(SENT + wrong + END) != canon(SENT + W1 + W2 + END)


def test_one_task_alone_keeps_its_order_whatever_the_modes() -> None:
    plain = Chunk("custom", "unlabelled", ("custom", "unlabelled"))
    assert canon([start("a"), plain, update("a")]) != canon([start("a"), update("a"), plain])


# --- subgraphs ---------------------------------------------------------------------------------------------------


def inside(chunks: Sequence[Chunk], *ns: str) -> list[Chunk]:
    """The chunks, as a graph with this namespace streams them."""
    return [replace(chunk, ns=(*ns, *chunk.ns), raw=((*ns, *chunk.ns), chunk.raw)) for chunk in chunks]


def below(task: str, *more: str, node: str = "") -> tuple[str, ...]:
    return (f"{node or task}:{IDS[task]}", *more)


X = [custom("x", 1), update("x"), result("x")]
Y = [custom("y", 1), update("y"), result("y")]
RUN = [values(0), start("x"), start("y"), *X, *Y, values(1), start("last"), update("last"), result("last"), values(2)]
OTHER_ORDER = [*RUN[:3], *Y, *X, *RUN[9:]]
IN_A, IN_B = inside(RUN, *below("a")), inside(RUN, *below("b"))


def ran(first: list[Chunk], second: list[Chunk]) -> list[Chunk]:
    """Two tasks that run a graph each, before what both say at their ends."""
    return [*TWO, *first, *second, update("a"), result("a"), update("b"), result("b"), *END]


@pytest.mark.parametrize(
    "same",
    [
        ran(IN_B, IN_A),
        ran(zipped(IN_A, IN_B), []),
        ran(IN_A, inside(OTHER_ORDER, *below("b"))),
        [*TWO, *IN_B[:4], *IN_A, update("a"), result("a"), *IN_B[4:], update("b"), result("b"), *END],
    ],
)
def test_parallel_subgraphs_may_interleave(same: list[Chunk]) -> None:
    assert canon(same) == canon(ran(IN_A, IN_B))


def alone(run: list[Chunk]) -> list[Chunk]:
    """A superstep of one task, which runs a graph."""
    return [values(0), start("a"), *run, update("a"), result("a"), values(3)]


def test_parallel_nodes_in_a_subgraph_may_interleave() -> None:
    deeper = below("w1", "1")
    assert canon(alone(inside(OTHER_ORDER, *below("a")))) == canon(alone(IN_A))
    assert canon(alone(inside([start("w1"), *inside(OTHER_ORDER, *deeper)], *below("a")))) == canon(
        alone(inside([start("w1"), *inside(RUN, *deeper)], *below("a")))
    )


def test_runs_of_several_graphs_in_one_task_keep_their_order() -> None:
    again = inside(RUN, *below("a", "1"))
    right = alone([*IN_A, custom("a", 1), *again])
    assert canon(alone([*IN_A, custom("a", 1), *inside(OTHER_ORDER, *below("a", "1"))])) == canon(right)
    assert canon(alone([*again, custom("a", 1), *IN_A])) != canon(right)
    assert canon(alone([*IN_A, *again, custom("a", 1)])) != canon(right)
    assert canon(alone([*zipped(IN_A, again), custom("a", 1)])) != canon(alone([*IN_A, *again, custom("a", 1)]))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param([IN_A[0], *alone(IN_A[1:])], id="a chunk before the task's start"),
        pytest.param([*alone(IN_A[:-1])[:-2], IN_A[-1], *alone([])[-2:]], id="a chunk after the task's update"),
        pytest.param([*alone(IN_A[:-1]), IN_A[-1]], id="a chunk after the superstep"),
        pytest.param(alone(IN_A[1:]), id="first values missing"),
        pytest.param(alone(IN_A[:-1]), id="last values missing"),
        pytest.param(alone([*IN_A[:5], *IN_A[6:]]), id="a result missing"),
        pytest.param(alone(swapped(IN_A, 1, 2)), id="starts swapped"),
        pytest.param(alone(swapped(IN_A, 3, 4)), id="update before its custom"),
        pytest.param(alone(swapped(IN_A, 4, 5)), id="result before its update"),
        pytest.param(alone(swapped(IN_A, 8, 9)), id="values before a result"),
        pytest.param(alone(RUN), id="in no namespace"),
        pytest.param(alone(inside(RUN, *below("b"))), id="in the namespace of another task"),
        pytest.param(alone(inside(RUN, *below("a", "1"))), id="as a second run"),
        pytest.param(alone(inside(RUN, *below("a"), *below("b"))), id="too deep"),
        pytest.param(alone(RUN[:1] + IN_A[1:]), id="one chunk in no namespace"),
    ],
)
def test_real_differences_of_subgraphs_show(wrong: list[Chunk]) -> None:
    assert canon(wrong) != canon(alone(IN_A))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param([TWO[0], *IN_A, TWO[1], *IN_B, *ran([], [])[2:]], id="between the starts"),
        pytest.param(ran(IN_A, swapped(IN_B, 3, 4)), id="update before its custom in one"),
        pytest.param([*TWO, *IN_A, update("b"), *IN_B, update("a"), result("a"), result("b"), *END], id="b ends early"),
        pytest.param(ran(IN_A, IN_A), id="one of them twice"),
        pytest.param(ran(IN_A, []), id="one of them missing"),
    ],
)
def test_real_differences_of_parallel_subgraphs_show(wrong: list[Chunk]) -> None:
    assert canon(wrong) != canon(ran(IN_A, IN_B))


IN_W1 = inside(RUN, *below("w1", node="w"))
IN_W2 = inside([values(7), *RUN[1:]], *below("w2", node="w"))  # something else, so that they can be told apart
W_ENDS = [update("w1", "w"), result("w1", "w"), update("w2", "w"), result("w2", "w")]


def test_sent_subgraphs_may_interleave() -> None:
    right = [*SENT, *IN_W1, *IN_W2, *W_ENDS, *END]
    assert canon([*SENT, *IN_W2, *IN_W1, *W_ENDS, *END]) == canon(right)
    assert canon([*SENT, *zipped(IN_W1, IN_W2), *W_ENDS, *END]) == canon(right)
    assert canon(
        [*SENT, *IN_W2, *W_ENDS[2:], *inside(OTHER_ORDER, *below("w1", node="w")), *W_ENDS[:2], *END]
    ) == canon(right)
    assert canon([*SENT, *IN_W1, *W_ENDS, *IN_W2, *END]) != canon(right)
    assert canon([*SENT, *IN_W1, *swapped(IN_W2, 3, 4), *W_ENDS, *END]) != canon(right)


def test_updates_of_subgraphs_alone() -> None:
    """Nothing in the stream shows where a superstep ends, at either level."""
    layout = layout_of(ran(IN_A, IN_B))
    run = [update("x"), update("y"), update("last")]
    in_a, in_b = inside(run, *below("a")), inside(run, *below("b"))
    end = [update("a"), update("b"), update("end")]
    right = [*in_a, *in_b, *end]
    assert canon([*zipped(in_b, in_a), *end], layout) == canon(right, layout)
    assert canon([*swapped(in_a, 0, 1), *in_b, *swapped(end, 0, 1)], layout) == canon(right, layout)
    assert canon([*swapped(in_a, 1, 2), *in_b, *end], layout) != canon(right, layout)
    assert canon([*in_a, *in_b, *swapped(end, 1, 2)], layout) != canon(right, layout)
    assert canon([*in_a, *in_b[:2], *end[:2], in_b[2], end[2]], layout) != canon(right, layout)


def test_values_of_subgraphs_alone() -> None:
    layout = layout_of([values(0), *ran(IN_A, IN_B)])
    run = [values(0), values(1), values(2)]
    in_a, in_b = inside(run, *below("a")), inside(run, *below("b"))
    right = [values(0), *in_a, *in_b, values(1), values(2)]
    assert canon([values(0), *zipped(in_b, in_a), values(1), values(2)], layout) == canon(right, layout)
    assert canon([values(0), *in_a, *swapped(in_b, 1, 2), values(1), values(2)], layout) != canon(right, layout)
    assert canon([values(0), *in_a, *in_b[:2], values(1), in_b[2], values(2)], layout) != canon(right, layout)


def test_layout_of_subgraphs() -> None:
    assert layout_of(ran(IN_A, IN_B))[0].children == {
        "a:<id>": [layout_of(RUN)],
        "b:<id>": [layout_of(RUN)],
    }
    assert layout_of(RUN) == [
        Superstep(2, {"custom": 2, "updates": 2, "tasks": 2}),
        Superstep(1, {"updates": 1, "tasks": 1}),
    ]


# --- interrupts --------------------------------------------------------------------------------------------------


def interrupted(task: str, *, version: str = "v1") -> list[Chunk]:
    """How a task tells that it asks."""
    asked = (Interrupt(f"{task}?", IDS[task].replace("-", "")),)
    told = [{"value": asked[0].value, "id": asked[0].id, "response_schema": None}]
    payload: dict[str, Any] = {"id": IDS[task], "name": task, "error": None, "result": {}, "interrupts": told}
    state: dict[str, Any] = {"n": 0}
    if version == "v2":
        shown = Chunk("values", state, {"type": "values", "ns": (), "data": state, "interrupts": asked})
    else:
        state["__interrupt__"] = asked
        shown = Chunk("values", state, ("values", state))
    update = {"__interrupt__": asked}
    return [Chunk("updates", update, ("updates", update)), shown, Chunk("tasks", payload, ("tasks", payload))]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_tasks_may_be_interrupted_in_any_order(version: str) -> None:
    a, b = interrupted("a", version=version), interrupted("b", version=version)
    right = [*TWO, *a, *b]
    assert canon([*TWO, *b, *a]) == canon(right)
    assert canon([*TWO, *zipped(a, b)]) == canon(right)
    for i, j in ((0, 1), (1, 2), (0, 2)):
        assert canon([*TWO, *swapped(a, i, j), *b]) != canon(right)
    assert canon([*TWO, *a, *b[1:]]) != canon(right)
    assert canon([*TWO, *a, b[0], b[2]]) != canon(right)
    assert canon([*TWO, *a, *a]) != canon(right)


def test_an_interrupt_beside_a_sibling() -> None:
    b = interrupted("b")
    right = [*TWO, *A, *b, values(1)]
    assert canon([*TWO, *b, *A, values(1)]) == canon(right)
    assert canon([*TWO, *zipped(A[2:], b), values(1)]) == canon([*TWO, *A[2:], *b, values(1)])
    assert canon([*TWO, *A, values(1), *b]) != canon(right)


def test_interrupts_without_results_keep_their_order_each() -> None:
    a, b = interrupted("a")[:2], interrupted("b")[:2]
    layout = [Superstep(2, {"updates": 2, "values": 2})]
    assert canon([values(0), *b, *a], layout) == canon([values(0), *a, *b], layout)
    assert canon([values(0), *a, *b[::-1]], layout) != canon([values(0), *a, *b], layout)


# --- tasks that tasks call ---------------------------------------------------------------------------------------


def called(task: str, name: str) -> list[Chunk]:
    start: dict[str, Any] = {"id": IDS[task], "name": name, "input": ((1,), {}), "triggers": ("__pregel_push",)}
    return [
        Chunk("tasks", start, ("tasks", start)),
        *inside([custom(task, 1, name)], *below("end")),
        update(task, name),
        result(task, name),
    ]


def calling(*calls: Chunk) -> list[Chunk]:
    return [start("end"), *calls, update("end"), result("end"), values(1)]


def test_calls_one_after_the_other_keep_their_order() -> None:
    first, second = called("x", "step"), called("y", "step")
    right = calling(*first, *second)
    assert canon(calling(*second, *first)) != canon(right)
    assert canon(calling(*zipped(first, second))) != canon(right)


def test_calls_at_once_may_interleave() -> None:
    first, second = called("x", "step_at_once"), called("y", "step_at_once")
    right = canon(calling(*first, *second))
    assert canon(calling(*zipped(first, second))) == right
    assert canon(calling(first[0], second[0], *second[1:], *first[1:])) == right
    assert canon(calling(*first, *second[:-1])) != right
    assert canon(calling(*first, *first)) != right
    assert canon(calling(*swapped(first, 2, 3), *second)) != right
    assert canon([*first, *calling(*second)]) != right


# --- streams without barriers ------------------------------------------------------------------------------------

STEPS: Layout = [Superstep(2, {"updates": 2, "custom": 2}), Superstep(1, {"updates": 1}), Superstep(2, {"updates": 2})]
U = [update("a"), update("b"), update("end"), update("w1"), update("w2")]


def test_updates_alone_may_interleave_within_a_superstep() -> None:
    assert canon([U[1], U[0], U[2], U[4], U[3]], STEPS) == canon(U, STEPS)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param([U[0], U[2], U[1], U[3], U[4]], id="across the end of a superstep"),
        pytest.param([U[0], U[1], U[3], U[2], U[4]], id="across the end of another"),
        pytest.param(U[:-1], id="last one missing"),
        pytest.param(U[1:], id="first one missing"),
        pytest.param([*U, U[4]], id="last one doubled"),
        pytest.param(U[::-1], id="backwards"),
    ],
)
def test_updates_alone_in_a_wrong_superstep_show(wrong: list[Chunk]) -> None:
    assert canon(wrong, STEPS) != canon(U, STEPS)


def test_layout_is_read_from_a_recording_with_tasks() -> None:
    assert layout_of([values(0), *TWO, *A, *B, *END]) == [
        Superstep(2, {"custom": 3, "messages": 3, "updates": 2, "tasks": 2}),
        Superstep(1, {"updates": 1, "tasks": 1}),
    ]


# --- errors ------------------------------------------------------------------------------------------------------


def noted(error: Exception, note: str) -> Exception:
    error.add_note(note)
    return error


def test_errors_compare_by_type_text_and_notes() -> None:
    note = f"During task with name 'a' and id '{IDS['a']}'"
    same = canon([update("a")], error=noted(ValueError("x"), f"During task with name 'a' and id '{uuid4()}'"))
    assert canon([update("a")], error=noted(ValueError("x"), note)) == same
    assert canon([update("a")], error=noted(ValueError("y"), note)) != same
    assert canon([update("a")], error=noted(TypeError("x"), note)) != same
    assert canon([update("a")], error=ValueError("x")) != same
    assert canon([update("a")]) != same


def test_siblings_of_a_failure_are_left_out_only_where_asked_and_only_at_the_end() -> None:
    error = noted(ValueError("x"), f"During task with name 'b' and id '{IDS['b']}'")
    failed = [*TWO, *A, *B[:3], result("b", error=error)]
    faster = [*TWO, *B[:3], result("b", error=error)]
    options: Any = {"error": error, "siblings_of_failure": False}
    assert canon(failed, **options) == canon(faster, **options)
    assert canon(failed, error=error) != canon(faster, error=error)
    assert canon(failed, **options) != canon([*failed[:-2], failed[-1]], **options)
    assert canon([start("end"), update("end"), *failed], **options) != canon([start("end"), *failed], **options)


def test_siblings_of_a_failure_in_a_subgraph_are_left_out_at_its_level_too() -> None:
    error = noted(
        noted(ValueError("x"), f"During task with name 'y' and id '{IDS['y']}'"), "During task with name 'b' and id ''"
    )
    run = [values(0), start("x"), start("y"), *X, Y[0], result("y", error=error)]
    faster = [*run[:3], *run[6:]]
    failed = result("b", error=error)
    options: Any = {"error": error, "siblings_of_failure": False}
    right = canon([*TWO, *A, *inside(run, *below("b")), failed], **options)
    assert canon([*TWO, *inside(faster, *below("b")), failed], **options) == right
    assert canon([*TWO, *IN_A, *inside(run, *below("b")), failed], **options) == right
    assert canon([*TWO, *A, *inside(run[:-1], *below("b")), failed], **options) != right
    assert canon([*TWO, *A, *inside(run, *below("b"))], **options) != right


def test_a_failing_superstep_that_streamed_nothing_is_not_taken_for_the_one_before() -> None:
    error = noted(ValueError("x"), f"During task with name 'b' and id '{IDS['b']}'")
    layout = [Superstep(1, {"updates": 1}), Superstep(2, {"updates": 1})]
    options: Any = {"error": error, "siblings_of_failure": False}
    nothing, sibling = canon([update("end")], layout, **options), canon([update("end"), update("a")], layout, **options)
    assert nothing == sibling
    assert nothing[0] == freeze(update("end").raw, Ids())


# --- recordings --------------------------------------------------------------------------------------------------


cases()  # loads the corpus

Damage = Callable[[list[Any]], None]


def _drop_last_update(chunks: list[Any]) -> None:
    del chunks[max(i for i, chunk in enumerate(chunks) if chunk[0] == "updates")]


def _swap_values(chunks: list[Any]) -> None:
    first, second = [i for i, chunk in enumerate(chunks) if chunk[0] == "values"][:2]
    chunks[first], chunks[second] = chunks[second], chunks[first]


def _shared_id(chunks: list[Any]) -> None:
    tasks = [chunk[1] for chunk in chunks if chunk[0] == "tasks"]
    tasks[-1]["id"] = tasks[0]["id"]


def _list_for_tuple(chunks: list[Any]) -> None:
    next(chunk[1] for chunk in chunks if chunk[0] == "tasks")["triggers"] = ["branch:to:a"]


@pytest.mark.parametrize("damage", [_drop_last_update, _swap_values, _shared_id, _list_for_tuple])
def test_a_damaged_recording_does_not_compare_equal(damage: Damage) -> None:
    damaged_case, way = CASES["diamond"], WAYS["stream-all-saved"]
    recordings: list[Played] = play(damaged_case, way, library("langgraph"))
    assert canonical(damaged_case, way, recordings) == expected(damaged_case, way)
    damage(recordings[0].chunks)
    assert canonical(damaged_case, way, recordings) != expected(damaged_case, way)


def test_two_cases_of_one_name_are_refused() -> None:
    def diamond(lg: Any) -> Any: ...

    with pytest.raises(ValueError, match="two cases called diamond"):
        case({})(diamond)


def test_every_mode_is_played_alone() -> None:
    assert set(MODES) <= {str(way.arguments.get("stream_mode")) for way in WAYS.values()}
