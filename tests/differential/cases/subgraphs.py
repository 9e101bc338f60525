"""Graphs in graphs: what they share, what they stream under which namespace, and how they fail, stop and go on."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from dataclasses import dataclass, field
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.differential.cases.branches import Log, graph_of, says
from tests.differential.harness import Turn, case, command, history_of, resume, state_of, update_of


def tells(lg: Any, word: str) -> Any:
    """A node that streams and appends `word`."""

    def node(state: Any) -> dict[str, Any]:
        lg.get_stream_writer()({"task": word, "saw": len(state["log"])})
        return {"log": [word]}

    return node


def talk(lg: Any, *words: str) -> Any:
    """A builder of nodes that tell their names, one after the other."""
    return lg.StateGraph(Log).add_sequence([(word, tells(lg, word)) for word in words]).add_edge(lg.START, words[0])


def around(lg: Any, sub: Any, *, before: str = "before", after: str = "after") -> Any:
    """`sub`, as a node of that name between two nodes."""
    return (
        lg.StateGraph(Log)
        .add_sequence([(before, tells(lg, before)), ("sub", sub), (after, tells(lg, after))])
        .add_edge(lg.START, before)
    )


def broken(lg: Any, what: str = "broken") -> bool:
    """Whether the call says that `what` is to fail: what failed in one turn works in the next."""
    return bool(lg.get_config()["configurable"].get(what))


def breaks(lg: Any, word: str, what: str = "broken") -> Any:
    def node(state: Any) -> dict[str, Any]:
        if broken(lg, what):
            raise ValueError(f"{word} is {what}")
        return {"log": [word]}

    return node


BROKEN = {"configurable": {"broken": True}}


# --- one subgraph ------------------------------------------------------------------------------------------------


@case({"log": ["i"]}, {"log": ["j"]})
def subgraph_as_a_node(lg: Any) -> Any:
    """It returns all of the list it was given, so the parent's reducer adds that again."""
    return around(lg, talk(lg, "s1", "s2").compile())


@case({"log": ["i"]})
def subgraph_alone(lg: Any) -> Any:
    return lg.StateGraph(Log).add_node("sub", talk(lg, "s1").compile()).add_edge(lg.START, "sub")


@case({"log": ["i"]})
def subgraph_added_by_its_own_name(lg: Any) -> Any:
    sub = talk(lg, "s1").compile(name="inner graph")
    return lg.StateGraph(Log).add_node(sub).add_edge(lg.START, "inner graph")


class Question(TypedDict):
    question: str
    hints: Annotated[list[str], operator.add]
    answer: str


def answering(lg: Any) -> Any:
    """A builder with a state of its own."""

    def think(state: Question) -> dict[str, Any]:
        lg.get_stream_writer()({"task": "think", "about": state["question"]})
        return {"hints": [f"hint for {state['question']}"]}

    def answer(state: Question) -> dict[str, Any]:
        return {"answer": f"{state['question']}: {len(state['hints'])} hints"}

    return lg.StateGraph(Question).add_sequence([think, answer]).add_edge(lg.START, "think")


@case({"log": ["i"]}, {"log": ["j"]})
def subgraph_called_in_a_node(lg: Any) -> Any:
    sub = answering(lg).compile()

    def asks(state: Log, writer: lg.StreamWriter) -> dict[str, Any]:
        writer({"task": "asks", "n": 1})
        answer = sub.invoke({"question": state["log"][-1]})["answer"]
        writer({"task": "asks", "n": 2})
        return {"log": [answer]}

    return lg.StateGraph(Log).add_sequence([asks, ("after", tells(lg, "after"))]).add_edge(lg.START, "asks")


@case({"log": ["i"]})
def subgraph_called_with_the_config_of_the_node(lg: Any) -> Any:
    sub = answering(lg).compile()

    def asks(state: Log, config: RunnableConfig) -> dict[str, Any]:
        return {"log": [sub.invoke({"question": "q"}, config)["answer"]]}

    return lg.StateGraph(Log).add_node(asks).add_edge(lg.START, "asks")


@case({"log": ["i"]})
def subgraph_called_twice_in_a_task(lg: Any) -> Any:
    """The second call has a namespace of its own."""
    sub = answering(lg).compile()

    def asks(state: Log) -> dict[str, Any]:
        return {"log": [sub.invoke({"question": question})["answer"] for question in ("one", "two", "three")]}

    return lg.StateGraph(Log).add_node(asks).add_edge(lg.START, "asks")


@case({"log": ["i"]})
def two_subgraphs_called_in_a_task(lg: Any) -> Any:
    first, second = answering(lg).compile(), talk(lg, "s1").compile()

    def asks(state: Log) -> dict[str, Any]:
        return {"log": second.invoke({"log": [first.invoke({"question": "q"})["answer"]]})["log"]}

    return lg.StateGraph(Log).add_node(asks).add_edge(lg.START, "asks")


@case({"log": ["i"]})
def subgraph_streamed_in_a_node(lg: Any) -> Any:
    """What the node reads is what it asked for; the caller gets what he asked for."""
    sub = answering(lg).compile()

    def asks(state: Log) -> dict[str, Any]:
        seen = [repr(chunk) for chunk in sub.stream({"question": "q"})]
        seen += [repr(chunk) for chunk in sub.stream({"question": "r"}, stream_mode="updates")]
        seen += [repr(chunk) for chunk in sub.stream({"question": "s"}, stream_mode=["custom", "updates"])]
        return {"log": seen}

    return lg.StateGraph(Log).add_node(asks).add_edge(lg.START, "asks")


@case({"log": ["i"]})
def subgraph_called_in_other_ways(lg: Any) -> Any:
    """With a list of modes, with output keys, in version v2, in a batch of one."""
    sub = answering(lg).compile()

    def asks(state: Log) -> dict[str, Any]:
        return {
            "log": [
                repr(sub.invoke({"question": "q"}, stream_mode="updates")),
                repr(sub.invoke({"question": "r"}, output_keys=["answer"])),
                repr(sub.invoke({"question": "s"}, version="v2").value),
                repr(sub.batch([{"question": "t"}])),
            ]
        }

    return lg.StateGraph(Log).add_node(asks).add_edge(lg.START, "asks")


@case({"log": ["i"]})
def subgraph_in_a_pipe(lg: Any) -> Any:
    pipe = talk(lg, "s1").compile() | (lambda state: {"log": [f"{len(state['log'])} from the pipe"]})
    return lg.StateGraph(Log).add_node("pipe", pipe).add_edge(lg.START, "pipe")


@case({"log": ["i"]}, async_only=True)
def subgraph_of_async_nodes(lg: Any) -> Any:
    async def s1(state: Log, writer: lg.StreamWriter) -> dict[str, Any]:
        writer({"task": "s1"})
        return {"log": ["s1"]}

    sub = lg.StateGraph(Log).add_sequence([s1, ("s2", says("s2"))]).add_edge(lg.START, "s1").compile()

    async def asks(state: Log) -> dict[str, Any]:
        return {"log": (await sub.ainvoke({"log": ["called"]}))["log"]}

    async def streams(state: Log) -> dict[str, Any]:
        return {"log": [repr(chunk) async for chunk in sub.astream({"log": []}, stream_mode="updates")]}

    return lg.StateGraph(Log).add_sequence([("sub", sub), asks, streams]).add_edge(lg.START, "sub")


# --- what is shared ----------------------------------------------------------------------------------------------


class Wide(TypedDict):
    log: Annotated[list[str], operator.add]
    topic: str
    total: Annotated[int, operator.add]


class Narrow(TypedDict):
    topic: str
    notes: Annotated[list[str], operator.add]
    total: Annotated[int, operator.add]


@case({"log": ["i"], "topic": "cats", "total": 1})
def subgraph_with_overlapping_keys(lg: Any) -> Any:
    """It is given, and gives back, what both know; its own keys start empty each time."""

    def research(state: Narrow) -> dict[str, Any]:
        return {"notes": [f"{key}" for key in sorted(state)], "total": 10}

    def rename(state: Narrow) -> dict[str, Any]:
        return {"topic": f"{state['topic']}, {len(state['notes'])} notes"}

    sub = lg.StateGraph(Narrow).add_sequence([research, rename]).add_edge(lg.START, "research").compile()

    def again(state: Wide) -> dict[str, Any]:
        return {"log": [state["topic"]], "total": 100}

    return lg.StateGraph(Wide).add_sequence([("sub", sub), again, ("sub2", sub)]).add_edge(lg.START, "sub")


@case({"log": ["i"]})
def subgraph_that_shares_nothing(lg: Any) -> Any:
    def notes(state: Narrow) -> dict[str, Any]:
        return {"notes": [str(sorted(state))]}

    sub = lg.StateGraph(Narrow).add_node(notes).add_edge(lg.START, "notes").compile()
    return lg.StateGraph(Log).add_sequence([("sub", sub), ("after", says("after"))]).add_edge(lg.START, "sub")


@case({"log": ["i"], "topic": "t", "total": 1})
def subgraph_with_input_and_output_schemas(lg: Any) -> Any:
    """With an output schema that leaves out what was given, nothing is added twice."""

    class Given(TypedDict):
        topic: str

    class Found(TypedDict):
        total: int

    def work(state: Narrow) -> dict[str, Any]:
        return {"notes": [state["topic"]], "total": 5}

    def more(state: Narrow) -> dict[str, Any]:
        return {"total": len(state["notes"])}

    sub = (
        lg.StateGraph(Narrow, input_schema=Given, output_schema=Found)
        .add_sequence([work, more])
        .add_edge(lg.START, "work")
        .compile()
    )
    return lg.StateGraph(Wide).add_node("sub", sub).add_edge(lg.START, "sub")


class PydanticLog(BaseModel):
    log: Annotated[list[str], operator.add] = []
    count: int = 0


@dataclass
class DataLog:
    log: Annotated[list[str], operator.add] = field(default_factory=list)
    count: int = 0


def attributes(state: Any) -> dict[str, Any]:
    return {"log": [f"{type(state).__name__} {len(state.log)} {state.count!r}"], "count": state.count + 1}


@case({"log": ["i"], "count": "7"})
def subgraph_with_a_pydantic_state(lg: Any) -> Any:
    class Outer(TypedDict):
        log: Annotated[list[str], operator.add]
        count: Any

    sub = lg.StateGraph(PydanticLog).add_node(attributes).add_edge(lg.START, "attributes").compile()
    return lg.StateGraph(Outer).add_sequence([("sub", sub), ("after", says("after"))]).add_edge(lg.START, "sub")


@case({"log": ["i"], "count": 1})
def subgraph_in_a_graph_with_a_pydantic_state(lg: Any) -> Any:
    inner = lg.StateGraph(PydanticLog).add_node(attributes).add_edge(lg.START, "attributes").compile()
    return lg.StateGraph(PydanticLog).add_sequence([attributes, ("sub", inner)]).add_edge(lg.START, "attributes")


@case({"log": ["i"], "count": 1})
def subgraph_with_a_dataclass_state(lg: Any) -> Any:
    sub = lg.StateGraph(DataLog).add_node(attributes).add_edge(lg.START, "attributes").compile()
    return lg.StateGraph(DataLog).add_sequence([("sub", sub), attributes]).add_edge(lg.START, "sub")


@case({"log": ["i"], "count": "x"})
def subgraph_given_what_its_schema_refuses(lg: Any) -> Any:
    class Outer(TypedDict):
        log: Annotated[list[str], operator.add]
        count: Any

    sub = lg.StateGraph(PydanticLog).add_node(attributes).add_edge(lg.START, "attributes").compile()
    return lg.StateGraph(Outer).add_node("sub", sub).add_edge(lg.START, "sub")


# --- several, deeper, and again ----------------------------------------------------------------------------------


@case({"log": ["i"]})
def subgraphs_two_deep(lg: Any) -> Any:
    inner = talk(lg, "d1", "d2").compile()
    middle = lg.StateGraph(Log).add_sequence([("m1", tells(lg, "m1")), ("deep", inner)]).add_edge(lg.START, "m1")
    return around(lg, middle.compile())


@case({"log": ["i"]})
def subgraphs_three_deep(lg: Any) -> Any:
    """As a node, called, as a node."""
    deepest = talk(lg, "d").compile()
    deep = lg.StateGraph(Log).add_node("deepest", deepest).add_edge(lg.START, "deepest").compile()

    def calls(state: Log, writer: lg.StreamWriter) -> dict[str, Any]:
        writer({"task": "calls"})
        return {"log": deep.invoke({"log": ["called"]})["log"]}

    middle = lg.StateGraph(Log).add_node(calls).add_edge(lg.START, "calls").compile()
    return around(lg, middle)


@case({"log": ["i"]})
def subgraphs_in_parallel(lg: Any) -> Any:
    return (
        lg.StateGraph(Log)
        .add_node("zed", talk(lg, "z1", "z2", "z3").compile())
        .add_node("abe", talk(lg, "a1").compile())
        .add_node("node", tells(lg, "node"))
        .add_node("end", tells(lg, "end"))
        .add_edge(lg.START, "zed")
        .add_edge(lg.START, "abe")
        .add_edge(lg.START, "node")
        .add_edge(["zed", "abe", "node"], "end")
    )


@case({"log": ["i"]})
def one_subgraph_as_two_nodes(lg: Any) -> Any:
    sub = graph_of(lg, "a b c", "s-a a-b a-c").compile()
    builder = lg.StateGraph(Log).add_node("one", sub).add_node("two", sub)
    return builder.add_edge(lg.START, "one").add_edge(lg.START, "two")


@case({"log": ["i"]})
def parallel_nodes_in_a_subgraph(lg: Any) -> Any:
    builder = lg.StateGraph(Log)
    for name in ("z", "a", "m"):
        builder.add_node(name, tells(lg, name)).add_edge(lg.START, name)
    builder.add_node("end", tells(lg, "end")).add_edge(["a", "m", "z"], "end")
    return around(lg, builder.compile())


class Item(TypedDict):
    item: int
    log: Annotated[list[str], operator.add]


@case({"log": ["i"]})
def sends_to_a_subgraph(lg: Any) -> Any:
    def fetch(state: Item) -> dict[str, Any]:
        lg.get_stream_writer()({"task": "fetch", "item": state["item"]})
        return {"log": [f"fetch {state['item']}"]}

    def store(state: Item) -> dict[str, Any]:
        return {"log": [f"store {state['item']}"]}

    sub = lg.StateGraph(Item).add_sequence([fetch, store]).add_edge(lg.START, "fetch").compile()

    def spread(state: Log) -> list[Any]:
        return [lg.Send("sub", {"item": n}) for n in (2, 1, 3)]

    return (
        lg.StateGraph(Log)
        .add_node("sub", sub)
        .add_node("end", says("end"))
        .add_conditional_edges(lg.START, spread, ["sub"])
        .add_edge("sub", "end")
    )


@case({"log": ["i"]})
def sends_in_a_subgraph(lg: Any) -> Any:
    def spread(state: Log) -> list[Any]:
        return [lg.Send("work", n) for n in (2, 1)]

    def work(n: Any) -> dict[str, Any]:
        lg.get_stream_writer()({"task": f"work#{n}"})
        return {"log": [f"work {n}"]}

    sub = (
        lg.StateGraph(Log)
        .add_node("s", says("s"))
        .add_node(work)
        .add_edge(lg.START, "s")
        .add_conditional_edges("s", spread, ["work"])
    )
    return around(lg, sub.compile())


@case({"log": []})
def subgraph_in_a_loop(lg: Any) -> Any:
    sub = talk(lg, "s1", "s2").compile()

    def route(state: Log) -> str:
        return "sub" if len(state["log"]) < 20 else lg.END

    return (
        lg.StateGraph(Log)
        .add_node("sub", sub)
        .add_node("between", tells(lg, "between"))
        .add_edge(lg.START, "sub")
        .add_edge("sub", "between")
        .add_conditional_edges("between", route, ["sub", lg.END])
    )


@case({"log": []})
def loop_in_a_subgraph(lg: Any) -> Any:
    sub = (
        lg.StateGraph(Log)
        .add_node("s", tells(lg, "s"))
        .add_edge(lg.START, "s")
        .add_conditional_edges("s", lambda state: "s" if len(state["log"]) < 3 else lg.END, ["s", lg.END])
    )
    return around(lg, sub.compile())


@case({"log": []}, {"log": ["long", "enough"]})
def branch_behind_a_subgraph(lg: Any) -> Any:
    """It reads the state as the subgraph left it."""

    def route(state: Log) -> str:
        return "long" if len(state["log"]) > 4 else "short"

    return (
        lg.StateGraph(Log)
        .add_node("sub", talk(lg, "s1", "s2").compile())
        .add_node("long", says("long"))
        .add_node("short", says("short"))
        .add_edge(lg.START, "sub")
        .add_conditional_edges("sub", route, ["long", "short"])
    )


@case({"log": []})
def subgraph_that_writes_nothing(lg: Any) -> Any:
    sub = lg.StateGraph(Log).add_node("nothing", lambda state: None).add_edge(lg.START, "nothing").compile()
    return lg.StateGraph(Log).add_sequence([("sub", sub), ("after", says("after"))]).add_edge(lg.START, "sub")


@case({"log": ["i"]})
def command_to_a_subgraph(lg: Any) -> Any:
    def router(state: Log) -> Any:
        return lg.Command(update={"log": ["routed"]}, goto="sub")

    builder = lg.StateGraph(Log).add_node(router).add_node("sub", talk(lg, "s1").compile())
    return builder.add_edge(lg.START, "router")


# --- config and context ------------------------------------------------------------------------------------------


@case(
    {"log": []},
    config={"configurable": {"user": "u1"}, "metadata": {"um": 1}, "tags": ["t1"], "recursion_limit": 50},
)
def config_in_a_subgraph(lg: Any) -> Any:
    def reads(state: Log, config: RunnableConfig) -> dict[str, Any]:
        metadata = config["metadata"]
        return {
            "log": [
                f"user {config['configurable'].get('user')} ns {config['configurable']['checkpoint_ns']}",
                f"um {metadata.get('um')} nm {metadata.get('nm')} sm {metadata.get('sm')}",
                f"step {metadata['langgraph_step']} node {metadata['langgraph_node']}",
                f"path {metadata['langgraph_path']} ns {metadata['langgraph_checkpoint_ns']}",
                f"tags {sorted(tag for tag in config['tags'] if not tag.startswith(('graph:', 'seq:')))}",
                f"limit {config['recursion_limit']}",
            ]
        }

    sub = lg.StateGraph(Log).add_node(reads, metadata={"sm": 3}).add_edge(lg.START, "reads").compile()
    bound = sub.with_config(tags=["bound"], configurable={"user": "of the subgraph"})

    def calls(state: Log) -> dict[str, Any]:
        return {
            "log": sub.invoke({"log": []}, {"tags": ["called"], "metadata": {"um": 2}, "recursion_limit": 9})["log"]
        }

    return (
        lg.StateGraph(Log)
        .add_node("sub", sub, metadata={"nm": 2})
        .add_node("bound", bound)
        .add_node(calls)
        .add_edge(lg.START, "sub")
        .add_edge("sub", "bound")
        .add_edge("bound", "calls")
    )


@dataclass
class Context:
    user: str
    level: int = 1


@case(Turn({"log": []}, arguments={"context": Context("u")}), Turn({"log": []}, arguments={"context": {"user": "v"}}))
def context_in_a_subgraph(lg: Any) -> Any:
    def reads(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        return {"log": [repr(runtime.context)]}

    sub = lg.StateGraph(Log, context_schema=Context).add_node(reads).add_edge(lg.START, "reads").compile()
    without = lg.StateGraph(Log).add_node(reads).add_edge(lg.START, "reads").compile()

    def calls(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        own = sub.invoke({"log": []}, context=Context("called", runtime.context.level + 1))["log"]
        return {"log": own + sub.invoke({"log": []})["log"]}

    return (
        lg.StateGraph(Log, context_schema=Context)
        .add_sequence([("sub", sub), ("without", without), calls])
        .add_edge(lg.START, "sub")
    )


@case({"log": []})
def execution_info_in_a_subgraph(lg: Any) -> Any:
    def reads(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        info = runtime.execution_info
        return {"log": [f"ns {info.checkpoint_ns} task {info.task_id} thread {info.thread_id} at {info.node_attempt}"]}

    sub = lg.StateGraph(Log).add_node(reads).add_edge(lg.START, "reads").compile()
    return lg.StateGraph(Log).add_sequence([reads, ("sub", sub)]).add_edge(lg.START, "reads")


# --- savers ------------------------------------------------------------------------------------------------------


def counting(lg: Any) -> Any:
    class Count(TypedDict):
        log: Annotated[list[str], operator.add]
        runs: Annotated[int, operator.add]

    def count(state: Count) -> dict[str, Any]:
        return {"runs": 1, "log": [f"run {state['runs'] + 1}"]}

    def tell(state: Count) -> dict[str, Any]:
        return {"log": [f"told {state['runs']}"]}

    return lg.StateGraph(Count).add_sequence([count, tell]).add_edge(lg.START, "count")


@case({"log": ["i"]}, {"log": ["j"]}, {"log": ["k"]}, history_of(), without_saver=False)
def subgraph_that_keeps_its_state(lg: Any) -> Any:
    sub = counting(lg).compile(checkpointer=True)
    return lg.StateGraph(Log).add_sequence([("sub", sub), ("after", says("after"))]).add_edge(lg.START, "sub")


@case({"log": ["i"]}, {"log": ["j"]})
def subgraph_without_a_saver(lg: Any) -> Any:
    sub = counting(lg).compile(checkpointer=False)
    return lg.StateGraph(Log).add_sequence([("sub", sub), ("after", says("after"))]).add_edge(lg.START, "sub")


@case({"log": ["i"]}, {"log": ["j"]}, without_saver=False)
def called_subgraph_that_keeps_its_state(lg: Any) -> Any:
    sub = counting(lg).compile(checkpointer=True)

    def calls(state: Log) -> dict[str, Any]:
        return {"log": sub.invoke({"log": ["called"]})["log"]}

    return lg.StateGraph(Log).add_node(calls).add_edge(lg.START, "calls")


@case({"log": ["i"]}, {"log": ["j"]}, without_saver=False)
def nested_subgraph_that_keeps_its_state(lg: Any) -> Any:
    """The one in between starts anew each time."""
    sub = counting(lg).compile(checkpointer=True)
    middle = lg.StateGraph(Log).add_node("keeps", sub).add_edge(lg.START, "keeps").compile()
    return lg.StateGraph(Log).add_node("middle", middle).add_edge(lg.START, "middle")


@case({"log": ["i"]}, state_of(), state_of(subgraphs=True), history_of(), without_saver=False)
def state_after_a_subgraph(lg: Any) -> Any:
    return around(lg, talk(lg, "s1").compile())


# --- failures ----------------------------------------------------------------------------------------------------


@case({"log": ["i"]}, config=BROKEN)
def failure_in_a_subgraph(lg: Any) -> Any:
    sub = lg.StateGraph(Log).add_sequence([("s1", tells(lg, "s1")), ("s2", breaks(lg, "s2"))]).add_edge(lg.START, "s1")
    return around(lg, sub.compile())


@case({"log": ["i"]}, config=BROKEN)
def failure_two_deep(lg: Any) -> Any:
    """A note for each level."""
    inner = lg.StateGraph(Log).add_node("d", breaks(lg, "d")).add_edge(lg.START, "d").compile()

    def calls(state: Log) -> dict[str, Any]:
        return {"log": inner.invoke({"log": []})["log"]}

    middle = lg.StateGraph(Log).add_node(calls).add_edge(lg.START, "calls").compile()
    return around(lg, middle)


@case({"log": ["i"]}, config=BROKEN)
def failure_of_a_subgraph_caught(lg: Any) -> Any:
    sub = lg.StateGraph(Log).add_node("s", breaks(lg, "s")).add_edge(lg.START, "s").compile()

    def calls(state: Log) -> dict[str, Any]:
        try:
            sub.invoke({"log": []})
        except ValueError as error:
            return {"log": [f"caught {error}"]}
        return {}

    return lg.StateGraph(Log).add_node(calls).add_edge(lg.START, "calls")


@case({"log": ["i"]}, config=BROKEN, races=True)
def failure_beside_a_subgraph(lg: Any) -> Any:
    sub = talk(lg, "s1", "s2").compile()
    failing = lg.StateGraph(Log).add_node("f", breaks(lg, "f")).add_edge(lg.START, "f").compile()
    builder = lg.StateGraph(Log).add_node("sub", sub).add_node("failing", failing).add_node("node", says("node"))
    return builder.add_edge(lg.START, "sub").add_edge(lg.START, "failing").add_edge(lg.START, "node")


@case({"log": ["i"]}, loses=("values", "updates", "tasks", "debug"))
def conflict_in_a_subgraph(lg: Any) -> Any:
    """Two nodes of it write one key."""

    class Single(TypedDict):
        word: str

    def writes(word: str) -> Any:
        return lambda state: {"word": word}

    sub = lg.StateGraph(Single).add_node("a", writes("a")).add_node("b", writes("b"))
    sub = sub.add_edge(lg.START, "a").add_edge(lg.START, "b").compile()

    def calls(state: Log) -> dict[str, Any]:
        return {"log": [sub.invoke({"word": "i"})["word"]]}

    return lg.StateGraph(Log).add_node(calls).add_edge(lg.START, "calls")


@case(*(Turn({"log": []}, config={"recursion_limit": limit}) for limit in (2, 3, 4, 5)))
def recursion_limit_in_a_subgraph(lg: Any) -> Any:
    """It counts its own supersteps, to the same limit."""
    return lg.StateGraph(Log).add_node("sub", talk(lg, "a", "b", "c").compile()).add_edge(lg.START, "sub")


@case(Turn({"log": ["i"]}, config=BROKEN), Turn(None), without_saver=False)
def resume_after_a_failure_in_a_subgraph(lg: Any) -> Any:
    """It goes on where it failed: `s1` doesn't run again."""
    sub = lg.StateGraph(Log).add_sequence([("s1", tells(lg, "s1")), ("s2", breaks(lg, "s2"))]).add_edge(lg.START, "s1")
    return around(lg, sub.compile())


@case(Turn({"log": ["i"]}, config=BROKEN), state_of(subgraphs=True), Turn(None), without_saver=False)
def resume_after_a_failure_two_deep(lg: Any) -> Any:
    inner = (
        lg.StateGraph(Log)
        .add_sequence([("d1", tells(lg, "d1")), ("d2", breaks(lg, "d2"))])
        .add_edge(lg.START, "d1")
        .compile()
    )

    def calls(state: Log, writer: lg.StreamWriter) -> dict[str, Any]:
        writer({"task": "calls"})
        return {"log": inner.invoke({"log": []})["log"]}

    middle = lg.StateGraph(Log).add_sequence([("m", tells(lg, "m")), calls]).add_edge(lg.START, "m").compile()
    return around(lg, middle)


@case(Turn({"log": ["i"]}, config=BROKEN), Turn({"log": ["new"]}), without_saver=False)
def new_input_after_a_failure_in_a_subgraph(lg: Any) -> Any:
    sub = lg.StateGraph(Log).add_sequence([("s1", tells(lg, "s1")), ("s2", breaks(lg, "s2"))]).add_edge(lg.START, "s1")
    return around(lg, sub.compile())


def at_once(lg: Any, **more: Any) -> Any:
    """A policy to retry anything, without waiting."""
    return lg.RetryPolicy(initial_interval=0.0, jitter=False, retry_on=Exception, **more)


@case({"log": ["i"]})
def retry_in_a_subgraph(lg: Any) -> Any:
    def flaky(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        runtime.stream_writer({"task": "flaky", "attempt": runtime.execution_info.node_attempt})
        if runtime.execution_info.node_attempt < 3:
            raise ValueError("not yet")
        return {"log": ["flaky"]}

    sub = (
        lg.StateGraph(Log)
        .add_node("s", says("s"))
        .add_node(flaky, retry_policy=at_once(lg))
        .add_edge(lg.START, "s")
        .add_edge("s", "flaky")
    )
    return around(lg, sub.compile())


@case({"log": ["i"]})
def retry_of_a_subgraph(lg: Any) -> Any:
    """It starts over, under a namespace of its own; what it streamed stays streamed."""

    def flaky(state: Log) -> dict[str, Any]:
        if "|1|" not in lg.get_config()["configurable"]["checkpoint_ns"]:
            raise ValueError("not yet")
        return {"log": ["flaky"]}

    sub = lg.StateGraph(Log).add_sequence([("s", tells(lg, "s")), flaky]).add_edge(lg.START, "s").compile()
    return lg.StateGraph(Log).add_node("sub", sub, retry_policy=at_once(lg)).add_edge(lg.START, "sub")


@case({"log": ["i"]})
def retry_of_a_node_that_calls_a_subgraph(lg: Any) -> Any:
    sub = talk(lg, "s1").compile()

    def calls(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        log = sub.invoke({"log": [f"attempt {runtime.execution_info.node_attempt}"]})["log"]
        if runtime.execution_info.node_attempt < 2:
            raise ValueError("not yet")
        return {"log": log}

    return lg.StateGraph(Log).add_node(calls, retry_policy=at_once(lg)).add_edge(lg.START, "calls")


@case({"log": ["i"]})
def retry_of_a_subgraph_gives_up(lg: Any) -> Any:
    def fails(state: Log) -> dict[str, Any]:
        raise ValueError("never")

    sub = lg.StateGraph(Log).add_sequence([("s", tells(lg, "s")), fails]).add_edge(lg.START, "s").compile()
    return lg.StateGraph(Log).add_node("sub", sub, retry_policy=at_once(lg, max_attempts=2)).add_edge(lg.START, "sub")


# --- commands to the parent --------------------------------------------------------------------------------------


def with_parent_command(lg: Any, make: Any, *, edge: bool = False) -> Any:
    """A subgraph whose second node returns what `make` makes, and two nodes that nothing else leads to."""

    def leaves(state: Log) -> Any:
        return make()

    sub = lg.StateGraph(Log).add_sequence([("s1", tells(lg, "s1")), leaves]).add_edge(lg.START, "s1")
    sub = sub.add_node("never", says("never")).add_edge("leaves", "never").compile()
    builder = lg.StateGraph(Log).add_node("sub", sub).add_edge(lg.START, "sub")
    builder = builder.add_node("b", tells(lg, "b")).add_node("c", tells(lg, "c"))
    return builder.add_edge("sub", "c") if edge else builder


@case({"log": ["i"]})
def parent_command_goto_and_update(lg: Any) -> Any:
    """The subgraph is left; the parent gets the update and nothing else of it."""
    return with_parent_command(lg, lambda: lg.Command(graph=lg.Command.PARENT, update={"log": ["up"]}, goto="b"))


@case({"log": ["i"]})
def parent_command_update_only(lg: Any) -> Any:
    return with_parent_command(lg, lambda: lg.Command(graph=lg.Command.PARENT, update={"log": ["up"]}))


@case({"log": ["i"]})
def parent_command_beside_an_edge(lg: Any) -> Any:
    return with_parent_command(lg, lambda: lg.Command(graph=lg.Command.PARENT, goto="b"), edge=True)


@case({"log": ["i"]})
def parent_command_sends(lg: Any) -> Any:
    return with_parent_command(
        lg,
        lambda: lg.Command(
            graph=lg.Command.PARENT, goto=[lg.Send("b", {"log": ["sent"]}), "c"], update={"log": ["up"]}
        ),
    )


@case({"log": ["i"]})
def parent_command_in_a_list(lg: Any) -> Any:
    return with_parent_command(
        lg,
        lambda: [{"log": ["own"]}, lg.Command(graph=lg.Command.PARENT, update={"log": ["up"]}, goto="b")],
    )


@case({"log": ["i"]})
def parent_command_to_an_unknown_node(lg: Any) -> Any:
    return with_parent_command(lg, lambda: lg.Command(graph=lg.Command.PARENT, update={"log": ["up"]}, goto="nope"))


@case({"log": ["i"]})
def parent_command_from_two_deep(lg: Any) -> Any:
    """The parent is the graph right above, not the outermost."""

    def leaves(state: Log) -> Any:
        return lg.Command(graph=lg.Command.PARENT, update={"log": ["up"]}, goto="m2")

    inner = lg.StateGraph(Log).add_node(leaves).add_edge(lg.START, "leaves").compile()
    middle = lg.StateGraph(Log).add_node("deep", inner).add_node("m2", tells(lg, "m2")).add_edge(lg.START, "deep")
    return around(lg, middle.compile())


@case({"log": ["i"]})
def parent_command_passed_on_upwards(lg: Any) -> Any:
    """From two deep to the node of the middle graph, and by that to the outermost."""

    def leaves(state: Log) -> Any:
        return lg.Command(graph=lg.Command.PARENT, update={"log": ["up"]}, goto="passes_on")

    def passes_on(state: Log) -> Any:
        return lg.Command(graph=lg.Command.PARENT, update={"log": ["further up"]}, goto="top")

    inner = lg.StateGraph(Log).add_node(leaves).add_edge(lg.START, "leaves").compile()
    middle = lg.StateGraph(Log).add_node("deep", inner).add_node(passes_on).add_edge(lg.START, "deep").compile()
    builder = lg.StateGraph(Log).add_node("sub", middle).add_node("top", tells(lg, "top"))
    return builder.add_edge(lg.START, "sub")


@case({"log": ["i"]})
def parent_command_from_a_called_subgraph(lg: Any) -> Any:
    def leaves(state: Log) -> Any:
        return lg.Command(graph=lg.Command.PARENT, update={"log": ["up"]}, goto="b")

    sub = lg.StateGraph(Log).add_node(leaves).add_edge(lg.START, "leaves").compile()

    def calls(state: Log) -> dict[str, Any]:
        sub.invoke({"log": []})
        return {"log": ["never gets here"]}

    builder = lg.StateGraph(Log).add_node(calls).add_node("b", says("b"))
    return builder.add_edge(lg.START, "calls")


@case({"log": ["i"]})
def parent_commands_from_parallel_subgraphs(lg: Any) -> Any:
    """A handoff from each, to one node, which runs once."""

    def leaving(word: str) -> Any:
        def leaves(state: Log) -> Any:
            return lg.Command(graph=lg.Command.PARENT, update={"log": [word]}, goto="b")

        return lg.StateGraph(Log).add_node(leaves).add_edge(lg.START, "leaves").compile()

    builder = lg.StateGraph(Log).add_node("one", leaving("one")).add_node("two", leaving("two"))
    return builder.add_edge(lg.START, "one").add_edge(lg.START, "two").add_node("b", tells(lg, "b"))


@case({"log": []})
def parent_commands_between_agents(lg: Any) -> Any:
    """Two subgraphs hand over to each other until they have said enough."""

    def agent(name: str, other: str) -> Any:
        def act(state: Log) -> Any:
            if len(state["log"]) >= 4:
                return {"log": [f"{name} ends"]}
            return lg.Command(graph=lg.Command.PARENT, update={"log": [name]}, goto=other)

        return lg.StateGraph(Log).add_node(act).add_edge(lg.START, "act").compile()

    builder = lg.StateGraph(Log).add_node("alice", agent("alice", "bob")).add_node("bob", agent("bob", "alice"))
    return builder.add_edge(lg.START, "alice")


# --- interrupts --------------------------------------------------------------------------------------------------


def asks(lg: Any, name: str) -> Any:
    """A node that asks by its name and appends the answer."""

    def node(state: Any) -> dict[str, Any]:
        lg.get_stream_writer()({"task": name})
        return {"log": [f"{name}: {lg.interrupt(f'{name}?')}"]}

    return node


def asking(lg: Any, *names: str) -> Any:
    """A builder of a node that tells, and nodes that ask."""
    steps = [("tells", tells(lg, "tells")), *((name, asks(lg, name)) for name in names)]
    return lg.StateGraph(Log).add_sequence(steps).add_edge(lg.START, "tells")


@case({"log": ["i"]}, resume("yes"))
def interrupt_in_a_subgraph(lg: Any) -> Any:
    return around(lg, asking(lg, "s").compile())


@case({"log": ["i"]}, state_of(), state_of(subgraphs=True), resume("yes"), state_of(), without_saver=False)
def state_while_a_subgraph_is_interrupted(lg: Any) -> Any:
    return around(lg, asking(lg, "s").compile())


@case({"log": ["i"]}, resume("yes"), resume("also"), without_saver=False)
def two_interrupts_in_a_subgraph(lg: Any) -> Any:
    return around(lg, asking(lg, "s", "t").compile())


@case({"log": ["i"]}, resume("yes"), without_saver=False)
def interrupt_in_a_called_subgraph(lg: Any) -> Any:
    """The node that calls it runs again from its top; the subgraph does not."""
    sub = asking(lg, "s").compile()

    def calls(state: Log, writer: lg.StreamWriter) -> dict[str, Any]:
        writer({"task": "calls", "n": 1})
        log = sub.invoke({"log": ["called"]})["log"]
        writer({"task": "calls", "n": 2})
        return {"log": log}

    return lg.StateGraph(Log).add_sequence([calls, ("after", tells(lg, "after"))]).add_edge(lg.START, "calls")


@case({"log": ["i"]}, resume("one"), resume("two"), resume("three"), without_saver=False)
def interrupts_in_a_node_and_in_the_subgraph_it_calls(lg: Any) -> Any:
    sub = asking(lg, "s").compile()

    def calls(state: Log) -> dict[str, Any]:
        before = lg.interrupt("before?")
        log = sub.invoke({"log": [before]})["log"]
        return {"log": [*log, lg.interrupt("after?")]}

    return lg.StateGraph(Log).add_node(calls).add_edge(lg.START, "calls")


@case({"log": ["i"]}, state_of(subgraphs=True), resume("yes"), without_saver=False)
def interrupt_two_deep(lg: Any) -> Any:
    middle = lg.StateGraph(Log).add_sequence([("m", tells(lg, "m")), ("deep", asking(lg, "d").compile())])
    return around(lg, middle.add_edge(lg.START, "m").compile())


def parallel_asking(lg: Any) -> Any:
    return (
        lg.StateGraph(Log)
        .add_node("one", asking(lg, "s1").compile())
        .add_node("two", asking(lg, "s2").compile())
        .add_node("node", tells(lg, "node"))
        .add_node("end", tells(lg, "end"))
        .add_edge(lg.START, "one")
        .add_edge(lg.START, "two")
        .add_edge(lg.START, "node")
        .add_edge(["one", "two", "node"], "end")
    )


@case(
    {"log": ["i"]},
    state_of(subgraphs=True),
    resume(lambda lib, past: {past.interrupt_id("s1?"): "first", past.interrupt_id("s2?"): "second"}),
    without_saver=False,
)
def interrupts_in_parallel_subgraphs(lg: Any) -> Any:
    return parallel_asking(lg)


@case(
    {"log": ["i"]},
    state_of(),
    resume(lambda lib, past: {past.interrupt_id("s2?"): "second"}),
    resume("first"),
    without_saver=False,
)
def interrupts_in_parallel_subgraphs_answered_one_by_one(lg: Any) -> Any:
    return parallel_asking(lg)


@case(
    {"log": ["i"]},
    state_of(),
    resume(lambda lib, past: {past.interrupt_id(f"{n}?"): f"answer {n}" for n in (1, 2)}),
    without_saver=False,
)
def interrupts_in_sent_subgraphs(lg: Any) -> Any:
    def ask(state: Item) -> dict[str, Any]:
        return {"log": [lg.interrupt(f"{state['item']}?")]}

    sub = lg.StateGraph(Item).add_node(ask).add_edge(lg.START, "ask").compile()

    def spread(state: Log) -> list[Any]:
        return [lg.Send("sub", {"item": n}) for n in (2, 1)]

    return lg.StateGraph(Log).add_node("sub", sub).add_conditional_edges(lg.START, spread, ["sub"])


@case({"log": ["i"]}, state_of(subgraphs=True), Turn(None), without_saver=False)
def breakpoint_in_a_subgraph(lg: Any) -> Any:
    return around(lg, talk(lg, "s1", "s2").compile(interrupt_before=["s2"]))


@case({"log": ["i"]}, Turn(None), Turn(None), without_saver=False)
def breakpoints_around_a_subgraph_and_in_it(lg: Any) -> Any:
    sub = talk(lg, "s1", "s2").compile(interrupt_after=["s1"])
    builder = lg.StateGraph(Log).add_node("sub", sub).add_node("stop", breaks(lg, "stop", "never"))
    return builder.add_edge(lg.START, "sub").add_edge("sub", "stop")


@case({"log": ["i"]}, {"log": ["new"]}, resume("yes"), without_saver=False)
def new_input_while_a_subgraph_is_interrupted(lg: Any) -> Any:
    return around(lg, asking(lg, "s").compile())


@case({"log": ["i"]}, resume("one"), {"log": ["j"]}, resume("two"), state_of(), without_saver=False)
def interrupts_in_a_subgraph_that_keeps_its_state(lg: Any) -> Any:
    sub = asking(lg, "s").compile(checkpointer=True)
    return lg.StateGraph(Log).add_node("sub", sub).add_edge(lg.START, "sub")


@case({"log": ["i"]}, command(resume="yes", update={"log": ["updated"]}), without_saver=False)
def resume_a_subgraph_with_an_update(lg: Any) -> Any:
    """The update is for the parent."""
    return around(lg, asking(lg, "s").compile())


def _of_the_subgraph(lib: Any, past: Any) -> Any:
    return past[-1].result.tasks[0].state.config


@case(
    {"log": ["i"]},
    state_of(subgraphs=True),
    update_of({"log": ["put in"]}, config=_of_the_subgraph),
    state_of(subgraphs=True),
    resume("yes"),
    without_saver=False,
)
def update_of_the_state_of_a_subgraph(lg: Any) -> Any:
    return around(lg, asking(lg, "s").compile())


@case({"log": ["i"]}, resume("yes"), async_only=True, without_saver=False)
def interrupt_in_an_async_subgraph(lg: Any) -> Any:
    async def s(state: Log) -> dict[str, Any]:
        return {"log": [lg.interrupt("s?")]}

    sub = lg.StateGraph(Log).add_sequence([("tells", tells(lg, "tells")), s]).add_edge(lg.START, "tells").compile()

    async def calls(state: Log) -> dict[str, Any]:
        return {"log": (await sub.ainvoke({"log": []}))["log"]}

    return lg.StateGraph(Log).add_node(calls).add_edge(lg.START, "calls")
