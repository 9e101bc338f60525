"""What nodes return and are, what channels do, and what the run tells them: the corners."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from importlib import import_module
from typing import Annotated, Any, Generic, NotRequired, TypeVar

from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnablePassthrough
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from tests.differential.cases.branches import says
from tests.differential.cases.subgraphs import talk
from tests.differential.harness import Turn, case, command, resume


class State(TypedDict):
    log: Annotated[list[str], operator.add]
    last: str


def around(lg: Any, node: Any) -> Any:
    """`node`, from START, and `b` and `c`, which nothing leads to."""
    builder = lg.StateGraph(State).add_node("a", node).add_edge(lg.START, "a")
    return builder.add_node("b", says("b")).add_node("c", says("c"))


# --- commands, again ---------------------------------------------------------------------------------------------


@case({"log": []})
def list_of_dicts_without_a_command(lg: Any) -> Any:
    return around(lg, lambda state: [{"log": ["1"]}, {"log": ["2"]}])


@case({"log": []})
def tuple_of_commands(lg: Any) -> Any:
    return around(lg, lambda state: (lg.Command(update={"log": ["1"]}), lg.Command(goto="b")))


@case({"log": []})
def list_of_commands_that_ends_with_nothing(lg: Any) -> Any:
    return around(lg, lambda state: [lg.Command(goto="b"), None])


@case({"log": []})
def list_of_sends(lg: Any) -> Any:
    return around(lg, lambda state: [lg.Send("b", {"log": ["1"]}), lg.Send("c", {"log": ["2"]})])


@case({"log": []})
def command_with_a_resume(lg: Any) -> Any:
    """What a node answers is answered to nobody."""
    return around(lg, lambda state: lg.Command(resume="x", update={"log": ["a"]}, goto="b"))


@case(
    {"log": []},
    command(goto="b"),
    command(update={"log": ["put"]}),
    command(goto=["b", "c"], update={"last": "x"}),
    without_saver=False,
)
def commands_to_a_finished_thread(lg: Any) -> Any:
    return around(lg, says("a"))


@case({"log": []})
def command_update_with_unknown_keys(lg: Any) -> Any:
    return around(lg, lambda state: lg.Command(update={"nope": 1, "log": ["a"]}, goto="b"))


@case({"log": []})
def command_update_that_is_empty(lg: Any) -> Any:
    return around(lg, lambda state: [lg.Command(update={}), lg.Command(update=[]), lg.Command(update=None, goto="b")])


class Reply(dict):
    pass


@case({"log": []})
def update_of_a_class_of_its_own(lg: Any) -> Any:
    """A subclass of dict is a dict; another mapping isn't."""

    class Other(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return ["other"]

        def __iter__(self) -> Any:
            return iter(["log"])

        def __len__(self) -> int:
            return 1

    first = around(lg, lambda state: Reply(log=["reply"])).compile()
    second = around(lg, lambda state: Other()).compile()

    def tries(state: State) -> dict[str, Any]:
        texts: list[str] = []
        for graph in (first, second):
            try:
                texts.append(str(graph.invoke({"log": []})))
            except Exception as error:
                texts.append(f"{type(error).__name__}: {str(error).split(' got ')[0]}")
        return {"log": texts}

    return lg.StateGraph(State).add_node(tries).add_edge(lg.START, "tries")


# --- packets -----------------------------------------------------------------------------------------------------


@dataclass
class Order:
    id: int
    lines: list[str] = field(default_factory=list)


class Colour(Enum):
    RED = "red"


class Shape(BaseModel):
    name: str
    sides: int = Field(default=3)


@case({"log": []})
def sends_of_all_kinds_of_arguments(lg: Any) -> Any:
    """The node is given the very argument, whatever it is."""

    def shows(given: Any) -> dict[str, Any]:
        return {"log": [f"{type(given).__name__} {given!r}"]}

    def spread(state: State) -> list[Any]:
        arguments = [
            Order(1, ["a"]),
            Shape(name="s"),
            Colour.RED,
            (1, [2]),
            {3},
            None,
            0,
            "",
            1.5,
            b"b",
            {"k": Order(2)},
        ]
        return [lg.Send("shows", argument) for argument in arguments]

    return lg.StateGraph(State).add_node(shows).add_conditional_edges(lg.START, spread, ["shows"])


@case({"log": []})
def send_to_a_node_with_an_input_schema(lg: Any) -> Any:
    """The argument isn't made an instance of it."""

    def shows(given: Shape) -> dict[str, Any]:
        return {"log": [f"{type(given).__name__} {given!r}"]}

    def spread(state: State) -> list[Any]:
        return [lg.Send("shows", {"name": "as a dict"}), lg.Send("shows", Shape(name="as an instance"))]

    return lg.StateGraph(State).add_node(shows, input_schema=Shape).add_conditional_edges(lg.START, spread, ["shows"])


# --- the run's end in sight --------------------------------------------------------------------------------------


@case(Turn({"log": []}, config={"recursion_limit": 6}), Turn({"log": []}, config={"recursion_limit": 4}))
def remaining_steps(lg: Any) -> Any:
    """A loop that stops by itself before the limit does."""

    class Steps(TypedDict):
        log: Annotated[list[str], operator.add]
        is_last: lg.IsLastStep
        remaining: lg.RemainingSteps

    def step(state: Steps) -> dict[str, Any]:
        return {"log": [f"{state['remaining']} {state['is_last']}"]}

    def route(state: Steps) -> str:
        return lg.END if state["remaining"] <= 2 else "step"

    return (
        lg.StateGraph(Steps)
        .add_node(step)
        .add_edge(lg.START, "step")
        .add_conditional_edges("step", route, ["step", lg.END])
    )


@case(Turn({"log": []}, config={"recursion_limit": 4}))
def last_step_in_a_subgraph_and_in_sends(lg: Any) -> Any:
    class Steps(TypedDict):
        log: Annotated[list[str], operator.add]
        is_last: lg.IsLastStep
        remaining: lg.RemainingSteps

    def step(state: Steps) -> dict[str, Any]:
        return {"log": [f"{state['remaining']} {state['is_last']}"]}

    def shows(given: Any) -> dict[str, Any]:
        return {"log": [f"sent {given}"]}

    def spread(state: Steps) -> Any:
        return [lg.Send("shows", {"remaining": state["remaining"]})]

    sub = lg.StateGraph(Steps).add_sequence([step, ("again", step)]).add_edge(lg.START, "step").compile()
    return (
        lg.StateGraph(Steps)
        .add_node("sub", sub)
        .add_node(step)
        .add_node(shows)
        .add_edge(lg.START, "sub")
        .add_edge("sub", "step")
        .add_conditional_edges("step", spread, ["shows"])
    )


@case({"log": [], "remaining": 5})
def managed_values_are_not_written(lg: Any) -> Any:
    class Steps(TypedDict):
        log: Annotated[list[str], operator.add]
        remaining: lg.RemainingSteps

    def step(state: Steps) -> dict[str, Any]:
        return {"log": [str(state["remaining"])], "remaining": 1}

    return lg.StateGraph(Steps).add_sequence([step, ("again", step)]).add_edge(lg.START, "step")


# --- channels ----------------------------------------------------------------------------------------------------


def channels(lg: Any) -> Any:
    return import_module(f"{lg.name}.channels")


@case({"log": [], "passing": "i"}, {"log": []})
def channels_by_annotation(lg: Any) -> Any:
    """What each kind keeps after a superstep that writes to it, and one that doesn't."""
    kinds = channels(lg)

    class Kinds(TypedDict):
        log: Annotated[list[str], operator.add]
        passing: Annotated[str, kinds.EphemeralValue]
        untracked: Annotated[str, kinds.UntrackedValue]
        any: Annotated[str, kinds.AnyValue]
        last: Annotated[str, kinds.LastValue]
        topic: Annotated[Sequence[str], kinds.Topic(str)]
        all: Annotated[Sequence[str], kinds.Topic(str, accumulate=True)]

    def writes(word: str) -> Any:
        def node(state: Kinds) -> dict[str, Any]:
            return {
                "log": [f"{word} saw {dict(sorted((k, v) for k, v in state.items() if k != 'log'))}"],
                **dict.fromkeys(("passing", "untracked", "any", "last"), word),
                "topic": [word, f"{word}2"],
                "all": word,
            }

        return node

    def reads(state: Kinds) -> dict[str, Any]:
        return {"log": [str(dict(sorted((k, v) for k, v in state.items() if k != "log")))]}

    return (
        lg.StateGraph(Kinds)
        .add_sequence([("one", writes("one")), ("two", writes("two")), reads, ("again", reads)])
        .add_edge(lg.START, "one")
    )


@case({"log": []})
def any_value_of_parallel_nodes(lg: Any) -> Any:
    """The last in order wins."""

    class Kinds(TypedDict):
        log: Annotated[list[str], operator.add]
        any: Annotated[str, channels(lg).AnyValue]

    def writes(word: str) -> Any:
        return lambda state: {"any": word}

    builder = lg.StateGraph(Kinds).add_node("reads", lambda state: {"log": [state["any"]]})
    for name in ("z", "a", "m"):
        builder.add_node(name, writes(name)).add_edge(lg.START, name)
    return builder.add_edge(["z", "a", "m"], "reads")


@case({"log": []}, loses=("values", "updates", "tasks", "debug"))
def guarded_ephemeral_value_of_parallel_nodes(lg: Any) -> Any:
    class Kinds(TypedDict):
        passing: Annotated[str, channels(lg).EphemeralValue]

    def writes(word: str) -> Any:
        return lambda state: {"passing": word}

    builder = lg.StateGraph(Kinds).add_node("a", writes("a")).add_node("b", writes("b"))
    return builder.add_edge(lg.START, "a").add_edge(lg.START, "b")


@case({"log": ["i"], "text": "t"})
def overwrite_in_its_spellings(lg: Any) -> Any:
    def node(value: Any) -> Any:
        return lambda state: {"log": value}

    return (
        lg.StateGraph(State)
        .add_sequence(
            [
                ("object", node(lg.Overwrite(["object"]))),
                ("appends", node(["appended"])),
                ("as_dict", node({"__overwrite__": ["as a dict"]})),
                ("appends_too", node(["appended too"])),
                ("as_typed_dict", node({"type": "__overwrite__", "value": ["as a typed dict"]})),
            ]
        )
        .add_edge(lg.START, "object")
    )


@case({"log": ["i"]})
def overwrite_beside_other_writes(lg: Any) -> Any:
    """What siblings append in the same superstep is lost, whoever comes first."""

    def overwrites(state: State) -> dict[str, Any]:
        return {"log": lg.Overwrite(["only this"])}

    builder = lg.StateGraph(State).add_node("m", overwrites).add_node("a", says("a")).add_node("z", says("z"))
    builder.add_edge(lg.START, "a").add_edge(lg.START, "m").add_edge(lg.START, "z")
    return builder.add_node("end", says("end")).add_edge(["a", "m", "z"], "end")


@case(lambda lib, past: {"log": lib.Overwrite(["as input"])}, lambda lib, past: {"log": lib.Overwrite([])})
def overwrite_as_input(lg: Any) -> Any:
    return lg.StateGraph(State).add_node("a", says("a")).add_edge(lg.START, "a")


@case({"log": ["i"]})
def overwrite_in_a_command_and_of_a_plain_key(lg: Any) -> Any:
    def node(state: State) -> Any:
        return lg.Command(update={"log": lg.Overwrite([]), "last": lg.Overwrite("plain")}, goto="b")

    return around(lg, node)


# --- schemas -----------------------------------------------------------------------------------------------------


@case({"question": "q", "log": []})
def private_schemas_between_nodes(lg: Any) -> Any:
    """Each node reads what its own schema names; all write to one pool; the output schema is what is returned."""

    class Given(TypedDict):
        question: str

    class Whole(TypedDict):
        question: str
        log: Annotated[list[str], operator.add]

    class Draft(TypedDict):
        draft: str

    class Checked(Draft):
        score: int

    class Found(TypedDict):
        log: list[str]

    def drafts(state: Given) -> Draft:
        return {"draft": f"draft of {sorted(state)}"}

    def checks(state: Draft) -> Checked:
        return {"draft": state["draft"].upper(), "score": len(state)}

    def ends(state: Checked) -> dict[str, Any]:
        return {"log": [f"{state['draft']} {state['score']} {sorted(state)}"]}

    return (
        lg.StateGraph(Whole, input_schema=Given, output_schema=Found)
        .add_sequence([drafts, checks, ends])
        .add_edge(lg.START, "drafts")
    )


Item = TypeVar("Item")


class Box(BaseModel, Generic[Item]):
    items: Annotated[list[Item], operator.add] = Field(default_factory=list)


@case({"items": [1]}, {"items": ["2"]})
def generic_pydantic_state(lg: Any) -> Any:
    def node(state: Box[int]) -> dict[str, Any]:
        return {"items": [sum(state.items)]}

    return lg.StateGraph(Box[int]).add_sequence([node, ("again", node)]).add_edge(lg.START, "node")


class WithDefaults(TypedDict):
    log: Annotated[list[str], operator.add]
    maybe: NotRequired[str]
    table: Annotated[dict[str, int], operator.or_]
    tags: Annotated[set[str], operator.or_]
    total: Annotated[int, operator.add]
    text: Annotated[str, operator.add]


@case({"log": []}, {"maybe": "m"})
def what_reducer_keys_start_with(lg: Any) -> Any:
    def shows(state: WithDefaults) -> dict[str, Any]:
        return {"log": [str(sorted((k, repr(v)) for k, v in state.items() if k != "log"))]}

    def writes(state: WithDefaults) -> dict[str, Any]:
        return {"table": {"k": 1}, "tags": {"t"}, "total": 2, "text": "x"}

    return lg.StateGraph(WithDefaults).add_sequence([shows, writes, ("again", shows)]).add_edge(lg.START, "shows")


# --- context -----------------------------------------------------------------------------------------------------


class ContextDict(TypedDict, total=False):
    user: str


@case(
    Turn({"log": []}, arguments={"context": {"user": "u"}}),
    Turn({"log": []}, arguments={"context": {"nope": 1}}),
    Turn({"log": []}, arguments={"context": None}),
    Turn({"log": []}),
)
def context_typed_dict(lg: Any) -> Any:
    def node(state: State, runtime: lg.Runtime[ContextDict]) -> dict[str, Any]:
        return {"log": [f"{runtime.context!r} {lg.get_runtime(ContextDict).context!r}"]}

    return lg.StateGraph(State, context_schema=ContextDict).add_node(node).add_edge(lg.START, "node")


@dataclass
class ContextData:
    user: str
    level: int = 1


@case(
    *(
        Turn({"log": []}, arguments={"context": context})
        for context in ({"user": "u", "level": "2"}, {}, {"user": "u", "nope": 1}, "text", ContextData("v"))
    )
)
def context_dataclass_of_odd_values(lg: Any) -> Any:
    def node(state: State, runtime: lg.Runtime[ContextData]) -> dict[str, Any]:
        return {"log": [repr(runtime.context)]}

    return lg.StateGraph(State, context_schema=ContextData).add_node(node).add_edge(lg.START, "node")


@case(Turn({"log": []}, arguments={"context": {"user": "u"}}))
def context_in_branches_and_sends(lg: Any) -> Any:
    def route(state: State, runtime: lg.Runtime[ContextData]) -> list[Any]:
        return [lg.Send("work", runtime.context.user), runtime.context.user]

    def work(given: Any, runtime: lg.Runtime[ContextData]) -> dict[str, Any]:
        return {"log": [f"{given} {runtime.context.level}"]}

    builder = lg.StateGraph(State, context_schema=ContextData).add_node(work).add_node("u", says("u"))
    return builder.add_conditional_edges(lg.START, route, ["work", "u"])


# --- nodes -------------------------------------------------------------------------------------------------------


@case({"log": []})
def generator_node(lg: Any) -> Any:
    """Its last value counts."""

    def node(state: State) -> Any:
        yield {"log": ["first"]}
        yield {"log": ["second"]}

    return around(lg, node)


@case({"log": []}, async_only=True)
def async_generator_node(lg: Any) -> Any:
    async def node(state: State) -> Any:
        yield {"log": ["first"]}
        yield {"log": ["second"]}

    return around(lg, node)


@case({"log": ["i"]})
def dict_of_functions_as_a_node(lg: Any) -> Any:
    return around(lg, {"log": lambda state: [f"saw {len(state['log'])}"], "last": lambda state: "from the dict"})


@case({"log": ["i"]})
def runnables_as_nodes(lg: Any) -> Any:
    shout = RunnableLambda(lambda state: {"log": [word.upper() for word in state["log"]]}, name="shout")
    pipe = RunnablePassthrough() | RunnableLambda(lambda state: {"log": [f"{len(state['log'])} in the pipe"]})
    to_c = RunnableLambda(lambda state: lg.Command(update={"log": ["commanded"]}, goto="c"))
    return (
        lg.StateGraph(State)
        .add_node(shout)
        .add_node("pipe", pipe.with_config(tags=["bound"], metadata={"bm": 1}))
        .add_node("to_c", to_c)
        .add_node("c", says("c"))
        .add_edge(lg.START, "shout")
        .add_edge("shout", "pipe")
        .add_edge("pipe", "to_c")
    )


@case({"log": ["i"]}, config={"tags": ["t"], "configurable": {"user": "u"}})
def runnable_with_a_config(lg: Any) -> Any:
    def reads(state: State, config: RunnableConfig) -> dict[str, Any]:
        tags = sorted(tag for tag in config["tags"] if not tag.startswith(("seq:", "graph:")))
        return {"log": [f"{tags} {config['metadata'].get('bm')} {config['configurable'].get('user')}"]}

    bound = RunnableLambda(reads).with_config(tags=["bound"], metadata={"bm": 1}, configurable={"user": "bound"})
    return around(lg, bound)


@case({"log": ["i"]})
def runnable_that_retries_and_falls_back(lg: Any) -> Any:
    def fails(state: State) -> dict[str, Any]:
        raise ValueError("boom")

    return around(lg, RunnableLambda(fails).with_fallbacks([RunnableLambda(lambda state: {"log": ["fell back"]})]))


class Counter:
    """A node as an object."""

    def __init__(self, word: str) -> None:
        self.word = word

    def __call__(self, state: State, config: RunnableConfig) -> dict[str, Any]:
        return {"log": [f"{self.word} {config['metadata']['langgraph_node']}"]}

    def method(self, state: State) -> dict[str, Any]:
        return {"log": [f"method of {self.word}"]}

    @staticmethod
    def static(state: State) -> dict[str, Any]:
        return {"log": ["static"]}

    @classmethod
    def of_the_class(cls, state: State) -> dict[str, Any]:
        return {"log": [cls.__name__]}


def with_more(state: State, word: str, *, times: int = 1) -> dict[str, Any]:
    return {"log": [word * times]}


@case({"log": ["i"]})
def callables_as_nodes(lg: Any) -> Any:
    counter = Counter("c")
    nodes = [
        ("object", counter),
        ("method", counter.method),
        ("static", Counter.static),
        ("class", Counter.of_the_class),
        ("partial", partial(with_more, word="w", times=2)),
        ("builtin", lambda state: None),
    ]
    return lg.StateGraph(State).add_sequence(nodes).add_edge(lg.START, "object")


@case({"log": ["i"]}, async_only=True)
def async_callables_as_nodes(lg: Any) -> Any:
    class Asynchronous:
        async def __call__(self, state: State) -> dict[str, Any]:
            return {"log": ["async object"]}

        async def method(self, state: State, *, word: str) -> dict[str, Any]:
            return {"log": [word]}

    nodes = [("object", Asynchronous()), ("partial", partial(Asynchronous().method, word="p"))]
    return lg.StateGraph(State).add_sequence(nodes).add_edge(lg.START, "object")


@case({"log": ["i"]})
def runnable_with_two_sides(lg: Any) -> Any:
    """How the caller calls decides which of them runs."""

    async def asynchronously(state: State) -> dict[str, Any]:
        return {"log": ["async side"]}

    both = RunnableLambda(lambda state: {"log": ["sync side"]}, afunc=asynchronously)
    return lg.StateGraph(State).add_node("both", both).add_edge(lg.START, "both")


@case({"log": ["i"]})
def odd_names(lg: Any) -> Any:
    """Spaces, signs, other scripts, and names that mean something elsewhere."""
    names = [
        "two words",
        "ünïcødé 名",
        "dots.and/slashes",
        "{curly}",
        "a#1",
        "__mine__",
        "log",
        "'quoted'",
        "new\nline",
    ]
    return lg.StateGraph(State).add_sequence([(name, says(name)) for name in names]).add_edge(lg.START, names[0])


@case({"log": ["i"]})
def odd_names_in_joins_and_branches(lg: Any) -> Any:
    builder = lg.StateGraph(State)
    for name in ("a+b", "x y", "to", "join"):
        builder.add_node(name, says(name))
    return (
        builder.add_edge(lg.START, "a+b")
        .add_edge(lg.START, "x y")
        .add_edge(["a+b", "x y"], "to")
        .add_conditional_edges("to", lambda state: "go on", {"go on": "join"})
    )


@case({"log": ["i"]})
def names_that_are_refused(lg: Any) -> Any:
    texts: list[str] = []
    for name in ("a|b", "a:b", "__start__", "__end__", ""):
        try:
            lg.StateGraph(State).add_node(name, says("x")).add_edge(lg.START, name).compile()
            texts.append(f"{name!r}: no error")
        except Exception as error:
            texts.append(f"{name!r}: {type(error).__name__}: {error}")
    return around(lg, lambda state: {"log": texts})


@case({"log": ["i"]})
def graph_called_through_runnable_methods(lg: Any) -> Any:
    """Several at once, and one bound to a config."""
    sub = talk(lg, "s1").compile()
    bound = sub.with_config(configurable={"user": "u"}, tags=["bound"])

    def calls(state: State) -> dict[str, Any]:
        batch = sub.batch([{"log": ["one"]}, {"log": ["two"]}], {"max_concurrency": 1})
        return {"log": [str(batch), str(bound.invoke({"log": ["three"]}))]}

    class Outside:
        """Called outside of any graph, as most callers do."""

        def compile(self, **options: Any) -> Any:
            text = str(calls({"log": [], "last": ""}))
            return around(lg, lambda state: {"log": [text]}).compile(**options)

    return Outside()


@case({"log": []}, resume("x"), without_saver=False)
def interrupt_swallowed_by_the_node(lg: Any) -> Any:
    """An interrupt is an exception: who catches all, catches it."""

    def node(state: State) -> dict[str, Any]:
        try:
            answer = lg.interrupt("sure?")
        except Exception as error:
            return {"log": [f"caught {type(error).__name__}"]}
        return {"log": [answer]}

    return around(lg, node)


def _is_empty(state: Any) -> bool:
    return not state["log"]


@case({"log": []}, {"log": ["x"]})
def branches_on_truth(lg: Any) -> Any:
    return (
        lg.StateGraph(State)
        .add_node("empty", says("empty"))
        .add_node("full", says("full"))
        .add_conditional_edges(lg.START, _is_empty, {True: "empty", False: "full"})
    )
