"""The graphs of LangGraph's own guides, as a reader would type them in, with fake models."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from typing import Annotated, Any, Literal

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AnyMessage
from typing_extensions import TypedDict

from tests.differential.harness import Turn, case


class Joke(TypedDict):
    topic: str
    joke: str


def refine_topic(state: Joke) -> dict[str, str]:
    return {"topic": state["topic"] + " and cats"}


def generate_joke(state: Joke) -> dict[str, str]:
    return {"joke": f"This is a joke about {state['topic']}"}


@case({"topic": "ice cream"})
def guide_sequential(lg: Any) -> Any:
    return (
        lg.StateGraph(Joke)
        .add_node(refine_topic)
        .add_node(generate_joke)
        .add_edge(lg.START, "refine_topic")
        .add_edge("refine_topic", "generate_joke")
        .add_edge("generate_joke", lg.END)
    )


class Values(TypedDict):
    value_1: str
    value_2: int


def step_1(state: Values) -> dict[str, Any]:
    return {"value_1": "a"}


def step_2(state: Values) -> dict[str, Any]:
    return {"value_1": f"{state['value_1']} b"}


def step_3(state: Values) -> dict[str, Any]:
    return {"value_2": 10}


@case({"value_1": "c"})
def guide_add_sequence(lg: Any) -> Any:
    return lg.StateGraph(Values).add_sequence([step_1, step_2, step_3]).add_edge(lg.START, "step_1")


class Aggregate(TypedDict):
    aggregate: Annotated[list[str], operator.add]


def adding(letter: str) -> Any:
    """A node that appends `letter`."""

    def node(state: Aggregate) -> dict[str, list[str]]:
        return {"aggregate": [letter]}

    return node


@case({"aggregate": []})
def guide_fan_out_and_in(lg: Any) -> Any:
    return (
        lg.StateGraph(Aggregate)
        .add_node("a", adding("A"))
        .add_node("b", adding("B"))
        .add_node("c", adding("C"))
        .add_node("d", adding("D"))
        .add_edge(lg.START, "a")
        .add_edge("a", "b")
        .add_edge("a", "c")
        .add_edge("b", "d")
        .add_edge("c", "d")
        .add_edge("d", lg.END)
    )


class Which(TypedDict):
    aggregate: Annotated[list[str], operator.add]
    which: str


@case({"aggregate": [], "which": "b"})
def guide_conditional_branching(lg: Any) -> Any:
    def route(state: Which) -> Literal["b", "c"]:
        return state["which"]  # type: ignore[return-value]

    def a(state: Which) -> dict[str, Any]:
        return {"aggregate": ["A"], "which": "c"}

    return (
        lg.StateGraph(Which)
        .add_node(a)
        .add_node("b", adding("B"))
        .add_node("c", adding("C"))
        .add_edge(lg.START, "a")
        .add_conditional_edges("a", route)
        .add_edge("b", lg.END)
        .add_edge("c", lg.END)
    )


class Overall(TypedDict):
    topic: str
    subjects: list[str]
    jokes: Annotated[list[str], operator.add]
    best_selected_joke: str


JOKES = {
    "lions": "Why don't lions like fast food? Because they can't catch it!",
    "elephants": "Why don't elephants use computers? They're afraid of the mouse!",
    "penguins": "Why don't penguins like talking to strangers? Because they find it hard to break the ice.",
}


@case({"topic": "animals"})
def guide_map_reduce(lg: Any) -> Any:
    def generate_topics(state: Overall) -> dict[str, Any]:
        return {"subjects": list(JOKES)}

    def continue_to_jokes(state: Overall) -> list[Any]:
        return [lg.Send("generate_joke", {"subject": subject}) for subject in state["subjects"]]

    def generate_joke(state: dict[str, str]) -> dict[str, Any]:
        return {"jokes": [JOKES[state["subject"]]]}

    def best_joke(state: Overall) -> dict[str, Any]:
        return {"best_selected_joke": state["jokes"][-1]}

    return (
        lg.StateGraph(Overall)
        .add_node("generate_topics", generate_topics)
        .add_node("generate_joke", generate_joke)
        .add_node("best_joke", best_joke)
        .add_edge(lg.START, "generate_topics")
        .add_conditional_edges("generate_topics", continue_to_jokes, ["generate_joke"])
        .add_edge("generate_joke", "best_joke")
        .add_edge("best_joke", lg.END)
    )


@case({"aggregate": []}, Turn({"aggregate": []}, config={"recursion_limit": 4}))
def guide_loop_with_a_limit(lg: Any) -> Any:
    """Leaves the loop by itself in the first turn, and at the recursion limit in the second."""

    def route(state: Aggregate) -> Literal["b", "__end__"]:
        return "b" if len(state["aggregate"]) < 7 else lg.END

    return (
        lg.StateGraph(Aggregate)
        .add_node("a", adding("A"))
        .add_node("b", adding("B"))
        .add_edge(lg.START, "a")
        .add_conditional_edges("a", route)
        .add_edge("b", "a")
    )


@case({"aggregate": []}, Turn({"aggregate": []}, config={"recursion_limit": 4}))
def guide_loop_with_branches(lg: Any) -> Any:
    def route(state: Aggregate) -> Literal["b", "__end__"]:
        return "b" if len(state["aggregate"]) < 7 else lg.END

    return (
        lg.StateGraph(Aggregate)
        .add_node("a", adding("A"))
        .add_node("b", adding("B"))
        .add_node("c", adding("C"))
        .add_node("d", adding("D"))
        .add_edge(lg.START, "a")
        .add_conditional_edges("a", route)
        .add_edge("b", "c")
        .add_edge("b", "d")
        .add_edge(["c", "d"], "a")
    )


class Foo(TypedDict):
    foo: str


@case({"foo": ""})
def guide_command(lg: Any) -> Any:
    def node_a(state: Foo) -> lg.Command[Literal["node_b", "node_c"]]:
        return lg.Command(update={"foo": "b"}, goto="node_b")

    def node_b(state: Foo) -> dict[str, str]:
        return {"foo": state["foo"] + "b"}

    def node_c(state: Foo) -> dict[str, str]:
        return {"foo": state["foo"] + "c"}

    return lg.StateGraph(Foo).add_edge(lg.START, "node_a").add_node(node_a).add_node(node_b).add_node(node_c)


@case({"topic": "ice cream"})
def guide_custom_data(lg: Any) -> Any:
    class State(TypedDict):
        query: str
        answer: str

    def node(state: State) -> dict[str, str]:
        writer = lg.get_stream_writer()
        writer({"custom_key": "Generating custom data inside node"})
        return {"answer": "some data"}

    return lg.StateGraph(State).add_node(node).add_edge(lg.START, "node")


@case({"topic": "ice cream"})
def guide_llm_tokens(lg: Any) -> Any:
    class MyState(TypedDict):
        topic: str
        joke: str

    model = GenericFakeChatModel(messages=iter([AIMessage("Why did the ice cream cross the road?", id="ai-1")]))

    def call_model(state: MyState) -> dict[str, Any]:
        response = model.invoke([{"role": "user", "content": f"Generate a joke about {state['topic']}"}])
        return {"joke": response.content}

    return lg.StateGraph(MyState).add_node(call_model).add_edge(lg.START, "call_model")


@case({"messages": [{"role": "user", "content": "hi! I'm bob", "id": "u1"}]})
def guide_chatbot(lg: Any) -> Any:
    model = GenericFakeChatModel(messages=iter([AIMessage("Hello, Bob! How are you?", id="ai-1")]))

    class State(TypedDict):
        messages: Annotated[list[AnyMessage], lg.add_messages]

    def chatbot(state: State) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    return lg.StateGraph(State).add_node("chatbot", chatbot).add_edge(lg.START, "chatbot").add_edge("chatbot", lg.END)


class Context(TypedDict):
    my_runtime_value: str


@case(
    {"my_state_value": 1},
    Turn({"my_state_value": 1}, arguments={"context": {"my_runtime_value": "b"}}),
    context={"my_runtime_value": "a"},
)
def guide_runtime_configuration(lg: Any) -> Any:
    class State(TypedDict):
        my_state_value: int

    def node(state: State, runtime: lg.Runtime[Context]) -> dict[str, int]:
        if runtime.context["my_runtime_value"] == "a":
            return {"my_state_value": 1}
        if runtime.context["my_runtime_value"] == "b":
            return {"my_state_value": 2}
        raise ValueError("Unknown values.")

    return (
        lg.StateGraph(State, context_schema=Context).add_node(node).add_edge(lg.START, "node").add_edge("node", lg.END)
    )


class InputState(TypedDict):
    user_input: str


class OutputState(TypedDict):
    graph_output: str


class OverallState(TypedDict):
    foo: str
    user_input: str
    graph_output: str


class PrivateState(TypedDict):
    bar: str


@case({"user_input": "My"})
def guide_private_state(lg: Any) -> Any:
    def node_1(state: InputState) -> OverallState:
        return {"foo": state["user_input"] + " name"}  # type: ignore[typeddict-item]

    def node_2(state: OverallState) -> PrivateState:
        return {"bar": state["foo"] + " is"}

    def node_3(state: PrivateState) -> OutputState:
        return {"graph_output": state["bar"] + " Lance"}

    return (
        lg.StateGraph(OverallState, input_schema=InputState, output_schema=OutputState)
        .add_node("node_1", node_1)
        .add_node("node_2", node_2)
        .add_node("node_3", node_3)
        .add_edge(lg.START, "node_1")
        .add_edge("node_1", "node_2")
        .add_edge("node_2", "node_3")
        .add_edge("node_3", lg.END)
    )
