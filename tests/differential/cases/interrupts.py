"""`interrupt`: a node asks, the run ends, and a later run on the thread brings the answer."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.differential.cases.branches import Log, says
from tests.differential.harness import Turn, case, resume, state_of


def asks(lg: Any, name: str, *questions: Any) -> Any:
    """A node that asks, and appends the answers. It says on the stream that it starts, and each answer it has got."""

    def node(state: Log, writer: lg.StreamWriter) -> dict[str, list[str]]:
        writer({"task": name, "saw": len(state["log"])})
        log: list[str] = []
        for question in questions or (f"{name}?",):
            answer = lg.interrupt(question)
            writer({"task": name, "got": answer})
            log.append(f"{name}: {answer!r}")
        return {"log": log}

    return node


def asking(lg: Any, nodes: str, edges: str) -> Any:
    """A graph like `branches.graph_of`, in which the nodes with a `?` ask, as in `a b? c`."""
    names = {"s": lg.START, "e": lg.END}
    builder = lg.StateGraph(Log)
    for node in nodes.split():
        name = node.rstrip("?")
        builder.add_node(name, asks(lg, name) if node.endswith("?") else says(name, counting=True))
    for edge in edges.split():
        start, end = edge.split("-")
        starts = [names.get(name, name) for name in start.split("+")]
        builder.add_edge(starts if len(starts) > 1 else starts[0], names.get(end, end))
    return builder


def answers(**by_node: Any) -> Any:
    """Answers by interrupt id, given by the names of the nodes that ask."""
    return lambda lg, past: {past.interrupt_id(f"{name}?"): answer for name, answer in by_node.items()}


# --- one question ------------------------------------------------------------------------------------------------


@case({"log": ["i"]}, state_of(), resume("yes"), state_of())
def interrupt_once(lg: Any) -> Any:
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": []}, resume("yes"))
def interrupt_in_the_first_node(lg: Any) -> Any:
    return asking(lg, "ask? b", "s-ask ask-b")


@case({}, state_of(), resume("yes"))
def interrupt_after_empty_input(lg: Any) -> Any:
    return asking(lg, "ask?", "s-ask")


@case({"log": []}, resume("yes"), {"log": ["again"]}, resume("no"), state_of())
def interrupt_in_each_run_of_a_thread(lg: Any) -> Any:
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": []}, resume("yes"), async_only=True)
def interrupt_in_an_async_node(lg: Any) -> Any:
    async def ask(state: Log) -> dict[str, Any]:
        return {"log": [lg.interrupt("ask?")]}

    return lg.StateGraph(Log).add_node("a", says("a")).add_node(ask).add_edge(lg.START, "a").add_edge("a", "ask")


@case(
    Turn({"log": ["one"]}, config={"configurable": {"thread_id": "one"}}),
    Turn({"log": ["two"]}, config={"configurable": {"thread_id": "two"}}),
    resume("to one", config={"configurable": {"thread_id": "one"}}),
    state_of({"configurable": {"thread_id": "two"}}),
    resume("to two", config={"configurable": {"thread_id": "two"}}),
)
def interrupts_of_two_threads(lg: Any) -> Any:
    return asking(lg, "a ask?", "s-a a-ask")


@case({"log": ["i"]}, None, state_of(), resume("yes"))
def none_as_input_asks_again(lg: Any) -> Any:
    """The same question, with the same id."""
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, {"log": ["new"]}, state_of(), resume("yes"), state_of())
def new_input_while_interrupted(lg: Any) -> Any:
    """The run starts over: the question is asked anew, with another id."""
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, {}, state_of(), resume("yes"))
def empty_input_while_interrupted(lg: Any) -> Any:
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, resume("yes"), resume("once more"), state_of())
def resume_when_nothing_asks(lg: Any) -> Any:
    return asking(lg, "a ask?", "s-a a-ask")


@case(resume("yes"), state_of(), {"log": ["i"]})
def resume_on_a_fresh_thread(lg: Any) -> Any:
    return asking(lg, "a ask?", "s-a a-ask")


@case({"log": ["i"]}, resume(answers(ask="yes")), state_of())
def resume_by_id(lg: Any) -> Any:
    return asking(lg, "a ask?", "s-a a-ask")


@case({"log": ["i"]}, resume({"0" * 32: "who?"}), state_of(), resume(answers(ask="yes")))
def resume_by_an_id_that_nobody_has(lg: Any) -> Any:
    return asking(lg, "a ask?", "s-a a-ask")


@case({"log": ["i"]}, resume({"not an id": "yes", "0" * 32: "no"}))
def resume_with_a_mapping_that_is_an_answer(lg: Any) -> Any:
    return asking(lg, "ask?", "s-ask")


@case(
    {"log": []},
    Turn(lambda lg, past: lg.Command(resume="yes", update={"log": ["updated"]})),
    {"log": ["again"]},
    Turn(lambda lg, past: lg.Command(resume="no", goto="other")),
    {"log": ["again"]},
    Turn(lambda lg, past: lg.Command(resume="no", update={"log": ["updated"]}, goto="other")),
    state_of(),
)
def resume_with_update_and_goto(lg: Any) -> Any:
    return asking(lg, "a ask? b other", "s-a a-ask ask-b")


# --- without a saver ---------------------------------------------------------------------------------------------


@case({"log": ["i"]}, {"log": ["j"]}, resume("yes"), None, with_saver=False, without_saver=True)
def interrupt_without_saver(lg: Any) -> Any:
    """The question is told, but nothing can be resumed."""
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


@case({"log": ["i"]}, with_saver=False, without_saver=True)
def interrupts_of_parallel_nodes_without_saver(lg: Any) -> Any:
    return asking(lg, "z? a b?", "s-z s-a s-b z+a+b-e")


# --- what is asked and answered ----------------------------------------------------------------------------------


@dataclass
class Form:
    """What a node may ask for."""

    fields: list[str]
    note: str = ""


KINDS = [
    "text",
    "",
    5,
    1.5,
    True,
    None,
    ["a", 1, None],
    {"question": "ok?", "choices": ["yes", "no"], "n": {"deep": [1]}},
    Form(["name"], note="please"),
]


@case({"log": []}, *(resume(kind) for kind in KINDS if kind is not None), state_of())
def interrupt_with_values_of_many_kinds(lg: Any) -> Any:
    """Asked one after the other, and answered by values of the same kinds."""
    builder = lg.StateGraph(Log)
    questions = [kind for kind in KINDS if kind != ""]
    return builder.add_sequence([(f"n{i}", asks(lg, f"n{i}", kind)) for i, kind in enumerate(questions)]).add_edge(
        lg.START, "n0"
    )


FALSY: list[Any] = [0, "", False, [], 0.0]


@case({"log": []}, *(resume(value) for value in FALSY), state_of())
def falsy_answers(lg: Any) -> Any:
    return lg.StateGraph(Log).add_node("ask", asks(lg, "ask", *range(len(FALSY)))).add_edge(lg.START, "ask")


@case({"log": []}, *(resume(lambda lg, past, v=value: {past.interrupt_id(v): v}) for value in FALSY), state_of())
def falsy_answers_by_id(lg: Any) -> Any:
    def ask(state: Log) -> dict[str, Any]:
        return {"log": [repr(lg.interrupt(value)) for value in FALSY]}

    return lg.StateGraph(Log).add_node(ask).add_edge(lg.START, "ask")


class Age(BaseModel):
    age: int


@case({"log": []}, state_of(), resume({"age": "old"}), state_of(), resume({"age": 7}))
def answer_of_a_schema(lg: Any) -> Any:
    """A wrong answer is refused, and may be given again."""

    def ask(state: Log) -> dict[str, Any]:
        return {"log": [repr(lg.interrupt("how old?", response_schema=Age))]}

    return lg.StateGraph(Log).add_node(ask).add_edge(lg.START, "ask")


# --- several questions of one node -------------------------------------------------------------------------------


@case({"log": []}, state_of(), resume("x"), state_of(), resume("y"))
def interrupt_twice_in_one_node(lg: Any) -> Any:
    """The node runs from its top each time, and gets the answers in order."""
    return lg.StateGraph(Log).add_node("ask", asks(lg, "ask", "first?", "second?")).add_edge(lg.START, "ask")


@case({"log": []}, resume("x"), resume("y"), state_of(), resume("z"), state_of())
def interrupt_three_times_in_one_node(lg: Any) -> Any:
    return asking(lg, "a", "s-a").add_node("ask", asks(lg, "ask", "1?", "2?", "3?")).add_edge("a", "ask")


@case({"log": []}, resume("x"), {"log": ["new"]}, resume("y"), resume("z"), state_of())
def new_input_between_two_questions(lg: Any) -> Any:
    """The first answer is forgotten."""
    return lg.StateGraph(Log).add_node("ask", asks(lg, "ask", "first?", "second?")).add_edge(lg.START, "ask")


@case({"log": []}, resume("old"), resume("very old"), resume(7), state_of())
def interrupt_in_a_loop(lg: Any) -> Any:
    def ask(state: Log, writer: lg.StreamWriter) -> dict[str, Any]:
        question = "how old?"
        while True:
            answer = lg.interrupt(question)
            writer({"task": "ask", "got": answer})
            if isinstance(answer, int):
                return {"log": [f"{answer}"]}
            question = f"{answer!r} is no number: how old?"

    return lg.StateGraph(Log).add_node(ask).add_edge(lg.START, "ask")


@case({"log": []}, resume("more"), resume("more"), resume("done"), state_of())
def interrupt_in_a_cycle_of_the_graph(lg: Any) -> Any:
    """Each visit of the node is another task, with another question."""

    def ask(state: Log) -> dict[str, Any]:
        return {"log": [lg.interrupt(f"visit {len(state['log'])}?")]}

    def route(state: Log) -> str:
        return "ask" if state["log"][-1] == "more" else lg.END

    return lg.StateGraph(Log).add_node(ask).add_edge(lg.START, "ask").add_conditional_edges("ask", route)


@case({"log": []}, resume("x"), resume("y"), state_of())
def the_same_question_twice(lg: Any) -> Any:
    return lg.StateGraph(Log).add_node("ask", asks(lg, "ask", "same?", "same?")).add_edge(lg.START, "ask")


# --- several nodes that ask --------------------------------------------------------------------------------------


@case({"log": ["i"]}, state_of(), resume("for whom?"), state_of(), resume(answers(a="A", z="Z")), state_of())
def interrupts_of_two_parallel_nodes(lg: Any) -> Any:
    """One answer without an id would be ambiguous."""
    return asking(lg, "z? a? end", "s-z s-a a+z-end")


@case({"log": ["i"]}, resume(answers(z="Z")), state_of(), resume(answers(a="A")), state_of())
def interrupts_answered_one_by_one(lg: Any) -> Any:
    return asking(lg, "z? a? end", "s-z s-a a+z-end")


@case({"log": ["i"]}, resume(answers(z="Z")), resume("A"), state_of())
def last_interrupt_answered_without_its_id(lg: Any) -> Any:
    return asking(lg, "z? a? end", "s-z s-a a+z-end")


@case(
    {"log": ["i"]},
    resume(answers(m="M")),
    resume("for whom?"),
    resume(answers(z="Z", a="A")),
    state_of(),
)
def interrupts_of_three_parallel_nodes(lg: Any) -> Any:
    return asking(lg, "z? a? m? end", "s-z s-a s-m a+z+m-end")


@case({"log": ["i"]}, resume(answers(m="M")), None, state_of(), resume(answers(a="A")), resume(answers(z="Z")))
def interrupts_left_over_are_asked_again(lg: Any) -> Any:
    return asking(lg, "z? a? m? end", "s-z s-a s-m a+z+m-end")


@case({"log": ["i"]}, state_of(), resume("yes"), state_of())
def interrupt_beside_nodes_that_finish(lg: Any) -> Any:
    """What finished is shown in the state, and not run again."""
    return asking(lg, "z ask? a end", "s-z s-ask s-a a+ask+z-end")


@case({"log": ["i"]}, {"log": ["new"]}, state_of(), resume("yes"), state_of())
def new_input_while_parallel_nodes_are_half_done(lg: Any) -> Any:
    return asking(lg, "z ask? a end", "s-z s-ask s-a a+ask+z-end")


@case({"log": ["i"]}, resume("yes"), resume("and yes"), state_of())
def interrupts_in_branches_of_uneven_length(lg: Any) -> Any:
    return asking(lg, "a b? b2 c c2? end", "s-a a-b a-c b-b2 c-c2 b2+c2-end")


@case(
    {"log": ["i"]},
    resume(lambda lg, past: {past.interrupt_id("a: 1?"): "A1", past.interrupt_id("z: 1?"): "Z1"}),
    resume(lambda lg, past: {past.interrupt_id("z: 2?"): "Z2"}),
    resume("A2"),
    state_of(),
)
def two_questions_each_of_parallel_nodes(lg: Any) -> Any:
    builder = lg.StateGraph(Log)
    for name in "za":
        builder.add_node(name, asks(lg, name, f"{name}: 1?", f"{name}: 2?")).add_edge(lg.START, name)
    return builder


class Numbers(TypedDict):
    numbers: list[int]
    log: Annotated[list[str], operator.add]


def sends_that_ask(lg: Any, ask: Any) -> Any:
    def spread(state: Numbers) -> list[Any]:
        return [lg.Send("work", {"n": n}) for n in state["numbers"]]

    def work(arg: Any, writer: lg.StreamWriter) -> dict[str, Any]:
        writer({"task": f"work#{arg['n']}", "n": arg["n"]})
        return {"log": [f"work {arg['n']}: {ask(arg['n'])}"]}

    return (
        lg.StateGraph(Numbers)
        .add_node(work)
        .add_node("end", says("end"))
        .add_conditional_edges(lg.START, spread, ["work"])
        .add_edge("work", "end")
    )


@case(
    {"numbers": [3, 1, 2]},
    state_of(),
    resume("for whom?"),
    resume(lambda lg, past: {past.interrupt_id(f"{n}?"): f"answer {n}" for n in (1, 3)}),
    state_of(),
    resume("answer 2"),
    state_of(),
)
def interrupts_of_sent_tasks(lg: Any) -> Any:
    return sends_that_ask(lg, lambda n: lg.interrupt(f"{n}?"))


@case({"numbers": [3, 1, 2]}, state_of(), resume("two"), state_of())
def interrupt_of_one_of_the_sent_tasks(lg: Any) -> Any:
    return sends_that_ask(lg, lambda n: lg.interrupt("two?") if n == 2 else "no question")


# --- questions and failures --------------------------------------------------------------------------------------


@case({"log": ["i"]}, resume("yes"), state_of())
def interrupt_caught_by_the_node(lg: Any) -> Any:
    """It is an exception: a node that catches all of them has swallowed its question."""

    def ask(state: Log) -> dict[str, Any]:
        try:
            return {"log": [lg.interrupt("ask?")]}
        except Exception as error:
            return {"log": [f"caught {type(error).__name__}"]}

    return lg.StateGraph(Log).add_node(ask).add_node("b", says("b")).add_edge(lg.START, "ask").add_edge("ask", "b")


@case({"log": ["i"]}, resume("yes"), state_of())
def interrupt_caught_and_raised_again(lg: Any) -> Any:
    def ask(state: Log, writer: lg.StreamWriter) -> dict[str, Any]:
        try:
            return {"log": [lg.interrupt("ask?")]}
        except lg.GraphInterrupt:
            writer({"task": "ask", "seen": "going"})
            raise
        finally:
            writer({"task": "ask", "seen": "finally"})

    return lg.StateGraph(Log).add_node(ask).add_edge(lg.START, "ask")


def fails_if_told(state: Any, config) -> dict[str, Any]:
    """Fails if the caller's config says so: a failure that is over when the run is resumed."""
    if config["configurable"].get("fail"):
        raise ValueError("told to fail")
    return {"log": ["did not fail"]}


FAIL = {"configurable": {"fail": True}}


def fails_beside(lg: Any, channel: str, text: str) -> Any:
    """A node that fails if told, when a sibling has saved this; see `Saved.wait_for`."""

    def fails(state: Any, config) -> dict[str, Any]:
        if config["configurable"].get("fail"):
            lg.saved.wait_for(channel, text)
        return fails_if_told(state, config)

    return fails


@case(Turn({"log": ["i"]}, config=FAIL), state_of(), resume("yes"), state_of())
def interrupt_beside_a_failure(lg: Any) -> Any:
    """The failure is raised, the question is kept."""
    fails = fails_beside(lg, "__interrupt__", "ask?")
    builder = asking(lg, "ask? end", "s-ask").add_node("fails", fails).add_edge(lg.START, "fails")
    return builder.add_edge(["ask", "fails"], "end")


@case(Turn({"log": ["i"]}, config=FAIL), None, state_of(), resume("yes"), state_of())
def interrupt_beside_a_failure_that_is_over(lg: Any) -> Any:
    """Continued without an answer: what failed runs again, what asked asks again."""
    fails = fails_beside(lg, "__interrupt__", "ask?")
    builder = asking(lg, "ask? end", "s-ask").add_node("fails", fails).add_edge(lg.START, "fails")
    return builder.add_edge(["ask", "fails"], "end")


@case(
    {"log": ["i"]},
    resume(answers(ask="yes"), config=FAIL),
    state_of(),
    None,
    resume(answers(fails="no")),
    state_of(),
)
def failure_beside_an_answer(lg: Any) -> Any:
    """What was answered is done; what failed asks again."""

    def fails(state: Log, config) -> dict[str, Any]:
        if config["configurable"].get("fail"):
            lg.saved.wait_for("log", "ask: 'yes'")
            raise ValueError("told to fail")
        return {"log": [lg.interrupt("fails?")]}

    builder = asking(lg, "ask? end", "s-ask").add_node("fails", fails).add_edge(lg.START, "fails")
    return builder.add_edge(["ask", "fails"], "end")


# LangGraph's `updates` show {"ask": None} for a task that got its answer and failed.
NOT_UPDATES = ["values", "custom", "tasks", "checkpoints"]


@case({"log": ["i"]}, resume("yes", config=FAIL), state_of(), None, state_of(), stream_mode=NOT_UPDATES)
def failure_after_the_answer(lg: Any) -> Any:
    def ask(state: Log, config, writer: lg.StreamWriter) -> dict[str, Any]:
        answer = lg.interrupt("ask?")
        writer({"task": "ask", "got": answer})
        return {"log": [answer, *fails_if_told(state, config)["log"]]}

    return lg.StateGraph(Log).add_node(ask).add_edge(lg.START, "ask")


@case({"log": ["i"]}, resume(answers(ask="yes"), config=FAIL), state_of(), None, resume("again"), state_of())
def failure_after_an_answer_by_id(lg: Any) -> Any:
    def ask(state: Log, config, writer: lg.StreamWriter) -> dict[str, Any]:
        answer = lg.interrupt("ask?")
        writer({"task": "ask", "got": answer})
        return {"log": [answer, *fails_if_told(state, config)["log"]]}

    return lg.StateGraph(Log).add_node(ask).add_edge(lg.START, "ask")


@case({"log": ["i"]}, resume("1"), resume("2", config=FAIL), state_of(), None, state_of(), stream_mode=NOT_UPDATES)
def failure_after_the_second_answer(lg: Any) -> Any:
    def ask(state: Log, config, writer: lg.StreamWriter) -> dict[str, Any]:
        first = lg.interrupt("first?")
        second = lg.interrupt("second?")
        writer({"task": "ask", "got": [first, second]})
        return {"log": [first, second, *fails_if_told(state, config)["log"]]}

    return lg.StateGraph(Log).add_node(ask).add_edge(lg.START, "ask")


@case({"log": ["i"]}, resume("yes", config=FAIL), state_of(), None, state_of())
def failure_in_the_superstep_after_the_answer(lg: Any) -> Any:
    """The answer belongs to a superstep that is over."""
    builder = asking(lg, "ask? b end", "s-ask ask-b").add_node("fails", fails_beside(lg, "log", "b2"))
    return builder.add_edge("ask", "fails").add_edge(["b", "fails"], "end")


@case({"log": ["i"]}, state_of(), resume("yes"), state_of())
def interrupt_is_not_retried(lg: Any) -> Any:
    def ask(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        attempt = runtime.execution_info.node_attempt
        return {"log": [lg.interrupt(f"attempt {attempt}?"), f"attempt {attempt}"]}

    policy = lg.RetryPolicy(initial_interval=0.001, jitter=False, retry_on=Exception)
    return lg.StateGraph(Log).add_node("ask", ask, retry_policy=policy).add_edge(lg.START, "ask")


@case({"log": ["i"]}, resume("yes"), state_of())
def interrupt_in_the_second_attempt(lg: Any) -> Any:
    """Each run's first attempt fails, and each attempt gets the answers from the first on."""

    def ask(state: Log, runtime: lg.Runtime, writer: lg.StreamWriter) -> dict[str, Any]:
        attempt = runtime.execution_info.node_attempt
        writer({"task": "ask", "attempt": attempt})
        if attempt == 1:
            raise ConnectionError("try again")
        return {"log": [lg.interrupt("ask?")]}

    policy = lg.RetryPolicy(initial_interval=0.001, jitter=False)
    return lg.StateGraph(Log).add_node("ask", ask, retry_policy=policy).add_edge(lg.START, "ask")


@case({"log": ["i"]}, resume("1"), resume("2"), state_of())
def answers_are_there_in_each_attempt(lg: Any) -> Any:
    def ask(state: Log, runtime: lg.Runtime, writer: lg.StreamWriter) -> dict[str, Any]:
        first = lg.interrupt("first?")
        writer({"task": "ask", "got": first})
        if runtime.execution_info.node_attempt == 1:
            raise ConnectionError("try again")
        return {"log": [first, lg.interrupt("second?")]}

    policy = lg.RetryPolicy(initial_interval=0.001, jitter=False)
    return lg.StateGraph(Log).add_node("ask", ask, retry_policy=policy).add_edge(lg.START, "ask")


@case({"log": ["i"]}, resume("yes"), Turn({"log": ["j"]}, config={"recursion_limit": 2}), resume("yes"), state_of())
def interrupt_and_the_recursion_limit(lg: Any) -> Any:
    """The supersteps of each run are counted from its own start."""
    return asking(lg, "a ask? b", "s-a a-ask ask-b")


# --- where else and what with ------------------------------------------------------------------------------------


# LangGraph's `values` show what the interrupted task was about to write, though that is written later.
NOT_VALUES = ["updates", "tasks", "checkpoints"]


@case({"log": ["i"]}, state_of(), resume("left"), state_of(), stream_mode=NOT_VALUES)
def interrupt_in_a_branch_function(lg: Any) -> Any:
    """It belongs to the node, which runs again too."""

    def route(state: Log) -> str:
        return lg.interrupt("where?")

    builder = asking(lg, "a left right", "s-a")
    return builder.add_conditional_edges("a", route, ["left", "right"])


@case({"log": ["i"]}, state_of(), resume("left"), state_of(), stream_mode=NOT_VALUES)
def interrupt_in_a_branch_from_start(lg: Any) -> Any:
    def route(state: Log) -> str:
        return lg.interrupt("where?")

    return asking(lg, "left right", "left-e").add_conditional_edges(lg.START, route, ["left", "right"])


@case({"log": []}, resume("approve"), {"log": []}, resume("reject"))
def approve_or_reject(lg: Any) -> Any:
    """As in LangGraph's how-to."""

    def approval(state: Log) -> lg.Command[Literal["proceed", "cancel"]]:
        decision = lg.interrupt({"question": "Do you want to proceed?", "details": state["log"]})
        return lg.Command(update={"log": [decision]}, goto="proceed" if decision == "approve" else "cancel")

    return (
        lg.StateGraph(Log)
        .add_node(approval)
        .add_node("proceed", says("proceed"))
        .add_node("cancel", says("cancel"))
        .add_edge(lg.START, "approval")
        .add_edge("proceed", lg.END)
        .add_edge("cancel", lg.END)
    )


class Draft(BaseModel):
    text: str
    revision: int = 0
    log: Annotated[list[str], operator.add] = []


@case({"text": "draft"}, state_of(), resume("better"), state_of())
def interrupt_with_a_pydantic_state(lg: Any) -> Any:
    def review(state: Draft) -> dict[str, Any]:
        return {"text": lg.interrupt({"edit": state.text}), "revision": state.revision + 1, "log": ["reviewed"]}

    return lg.StateGraph(Draft).add_node(review).add_edge(lg.START, "review")


@case({"log": ["i"]}, resume("yes"))
def interrupt_with_an_output_schema(lg: Any) -> Any:
    """What `invoke` returns is restricted to it, the interrupts are there all the same."""

    class Both(TypedDict):
        log: Annotated[list[str], operator.add]
        answer: str

    class Shown(TypedDict):
        answer: str

    def ask(state: Both) -> dict[str, Any]:
        return {"answer": lg.interrupt("ask?"), "log": ["asked"]}

    return lg.StateGraph(Both, output_schema=Shown).add_node(ask).add_edge(lg.START, "ask")


@case({"log": ["i"]}, resume("yes"), output_keys="log")
def interrupt_with_output_keys(lg: Any) -> Any:
    return asking(lg, "a ask?", "s-a a-ask")


@case({"log": ["i"]}, resume("yes"), config={"metadata": {"m": 1}, "tags": ["t"], "configurable": {"user": "u"}})
def interrupt_with_metadata(lg: Any) -> Any:
    return asking(lg, "a ask?", "s-a a-ask")


@case({"messages": [("user", "delete it")]}, state_of(), resume({"ok": False}), state_of())
def interrupt_with_messages(lg: Any) -> Any:
    """What a chatbot does that asks a human."""

    def bot(state: Any) -> dict[str, Any]:
        return {"messages": [("ai", f"shall I {state['messages'][-1].content}?")]}

    def human(state: Any) -> dict[str, Any]:
        answer = lg.interrupt({"says": state["messages"][-1].content})
        return {"messages": [("user", "yes" if answer["ok"] else "no")]}

    return lg.StateGraph(lg.MessagesState).add_sequence([bot, human, ("end", bot)]).add_edge(lg.START, "bot")
