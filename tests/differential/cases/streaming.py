"""What a node is given besides the state, and what it streams."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

import operator
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.differential.harness import Turn, case


class Log(TypedDict):
    log: Annotated[list[str], operator.add]


# --- custom ------------------------------------------------------------------------------------------------------


@case({"log": []})
def writer_parameter(lg: Any) -> Any:
    def node(state: Log, writer: lg.StreamWriter) -> dict[str, Any]:
        writer("text")
        writer({"task": "node", "n": 1})
        writer(["a", "list"])
        writer(("a", "tuple"))
        writer(None)
        writer(0)
        return {"log": ["done"]}

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


@case({"log": []})
def writer_parameter_without_annotation(lg: Any) -> Any:
    def node(state, writer):
        writer({"n": 1})
        return {"log": ["done"]}

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


@case({"log": []})
def get_stream_writer(lg: Any) -> Any:
    def deep(n: int) -> None:
        lg.get_stream_writer()({"n": n})

    def node(state: Log) -> dict[str, Any]:
        deep(1)
        deep(2)
        return {"log": ["done"]}

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


@case({"log": []})
def runtime_stream_writer(lg: Any) -> Any:
    def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        runtime.stream_writer({"n": 1})
        lg.get_runtime().stream_writer({"n": 2})
        return {"log": ["done"]}

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


@case({"log": []}, async_only=True)
def custom_from_async_nodes(lg: Any) -> Any:
    async def first(state: Log, writer: lg.StreamWriter) -> dict[str, Any]:
        writer({"n": 1})
        return {"log": ["first"]}

    async def second(state: Log) -> dict[str, Any]:
        lg.get_stream_writer()({"n": 2})
        lg.get_stream_writer()({"n": 3})
        return {"log": ["second"]}

    return lg.StateGraph(Log).add_sequence([first, second]).add_edge(lg.START, "first")


@case({"log": []})
def much_custom_data(lg: Any) -> Any:
    def node(state: Log, writer: lg.StreamWriter) -> dict[str, Any]:
        for n in range(200):
            writer({"task": "node", "n": n, "text": "x" * n})
        return {"log": ["done"]}

    return lg.StateGraph(Log).add_sequence([node, ("again", node)]).add_edge(lg.START, "node")


@case({"log": []})
def custom_from_parallel_nodes(lg: Any) -> Any:
    def speaks(name: str) -> Any:
        def node(state: Log, writer: lg.StreamWriter) -> dict[str, Any]:
            for n in range(20):
                writer({"task": name, "n": n})
            return {"log": [name]}

        return node

    builder = lg.StateGraph(Log)
    for name in ("c", "a", "b"):
        builder.add_node(name, speaks(name)).add_edge(lg.START, name)
    return builder.add_node("end", speaks("end")).add_edge(["a", "b", "c"], "end")


@dataclass
class Progress:
    done: int
    of: int


@case({"log": []})
def custom_data_of_all_types(lg: Any) -> Any:
    def node(state: Log, writer: lg.StreamWriter) -> dict[str, Any]:
        for payload in (
            Progress(1, 2),
            Settings(model="m"),
            {1, 2},
            1.5,
            b"bytes",
            {"nested": [{"a": (1, None)}]},
            True,
        ):
            writer(payload)
        return {"log": ["done"]}

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


# --- config ------------------------------------------------------------------------------------------------------


@case(
    {"log": []},
    config={"configurable": {"user": "u1"}, "metadata": {"um": 1}, "tags": ["t1"], "recursion_limit": 50},
)
def node_reads_config(lg: Any) -> Any:
    def node(state: Log, config: RunnableConfig) -> dict[str, Any]:
        own = {key: value for key, value in config["configurable"].items() if not key.startswith("__")}
        own.pop("checkpoint_id", None)
        return {
            "log": [
                f"configurable {own.get('user')} {own['checkpoint_ns']}",
                f"metadata {config['metadata'].get('um')}",
                f"step {config['metadata']['langgraph_step']} node {config['metadata']['langgraph_node']}",
                f"path {config['metadata']['langgraph_path']} triggers {config['metadata']['langgraph_triggers']}",
                f"tags {sorted(tag for tag in config['tags'] if not tag.startswith(('graph:', 'seq:')))}",
                f"limit {config['recursion_limit']}",
                f"the same {lg.get_config()['configurable'].get('user')}",
            ]
        }

    def again(state: Log, config: RunnableConfig) -> dict[str, Any]:
        return {"log": [f"step {config['metadata']['langgraph_step']}"]}

    return lg.StateGraph(Log).add_sequence([node, again]).add_edge(lg.START, "node")


@case({"log": []}, config={"configurable": {"user": "u1"}})
def node_reads_config_unannotated(lg: Any) -> Any:
    def node(state, config):
        return {"log": [config["configurable"]["user"]]}

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


@case({"log": []}, config={"user": "moved", "metadata": {"m": 1}})
def unknown_config_keys_become_configurable(lg: Any) -> Any:
    def node(state: Log, config: RunnableConfig) -> dict[str, Any]:
        return {"log": [str(config["configurable"].get("user"))]}

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


@case({"log": []}, config={"tags": ["t1", "t2"], "metadata": {"um": 1}, "configurable": {"user": "u"}})
def metadata_and_tags_in_task_events(lg: Any) -> Any:
    def plain(state: Log) -> dict[str, Any]:
        return {"log": ["plain"]}

    def marked(state: Log) -> dict[str, Any]:
        return {"log": ["marked"]}

    return (
        lg.StateGraph(Log)
        .add_node(plain)
        .add_node(marked, metadata={"mk": "mv", "um": "from the node"})
        .add_edge(lg.START, "plain")
        .add_edge("plain", "marked")
    )


@case({"log": []})
def node_metadata_alone(lg: Any) -> Any:
    def marked(state: Log) -> dict[str, Any]:
        return {"log": ["marked"]}

    return lg.StateGraph(Log).add_node(marked, metadata={"mk": "mv"}).add_edge(lg.START, "marked")


@case({"log": []}, config={"max_concurrency": 4, "run_name": "a name"})
def other_config_keys(lg: Any) -> Any:
    def node(state: Log, config: RunnableConfig) -> dict[str, Any]:
        return {"log": [f"max_concurrency {config.get('max_concurrency')}"]}

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


# --- runtime and context -----------------------------------------------------------------------------------------


@dataclass
class Context:
    model: str
    temperature: float = 0.5


class Settings(BaseModel):
    model: str
    temperature: float = 0.5


def reads_context(lg: Any, schema: Any) -> Any:
    def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        return {"log": [f"{type(runtime.context).__name__} {runtime.context!r}"]}

    def other(state: Log) -> dict[str, Any]:
        return {"log": [repr(lg.get_runtime().context)]}

    return lg.StateGraph(Log, context_schema=schema).add_sequence([node, other]).add_edge(lg.START, "node")


@case(
    Turn({"log": []}, arguments={"context": Context("given")}),
    Turn({"log": []}, arguments={"context": {"model": "as a dict"}}),
    Turn({"log": []}, arguments={"context": {"nope": 1}}),
    Turn({"log": []}),
)
def context_dataclass(lg: Any) -> Any:
    return reads_context(lg, Context)


@case(
    Turn({"log": []}, arguments={"context": Settings(model="given")}),
    Turn({"log": []}, arguments={"context": {"model": "as a dict", "temperature": "0.1"}}),
    Turn({"log": []}, arguments={"context": {"temperature": "hot"}}),
)
def context_pydantic(lg: Any) -> Any:
    return reads_context(lg, Settings)


@case({"log": []}, config={"configurable": {"user": "u"}, "metadata": {"m": 1}})
def runtime_fields(lg: Any) -> Any:
    def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        info = runtime.execution_info
        return {
            "log": [
                f"store {runtime.store} previous {runtime.previous}",
                f"ns {info.checkpoint_ns} task {info.task_id}",
                f"thread {info.thread_id} attempt {info.node_attempt}",
            ]
        }

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


@case({"log": []}, async_only=True)
def everything_injected_at_once(lg: Any) -> Any:
    def node(state: Log, config: RunnableConfig, *, writer: lg.StreamWriter, runtime: lg.Runtime) -> dict[str, Any]:
        writer({"n": config["metadata"]["langgraph_step"]})
        return {"log": [repr(runtime.context)]}

    async def anode(state: Log, runtime: lg.Runtime, config: RunnableConfig) -> dict[str, Any]:
        runtime.stream_writer({"n": config["metadata"]["langgraph_step"]})
        return {"log": ["async"]}

    return lg.StateGraph(Log).add_sequence([node, anode]).add_edge(lg.START, "node")


@case({"log": []})
def parameters_with_defaults_are_left_alone(lg: Any) -> Any:
    def node(state: Log, times: int = 3, *, suffix: str = "!") -> dict[str, Any]:
        return {"log": [f"{times}{suffix}"]}

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


# --- what a run is labelled with ---------------------------------------------------------------------------------


@case({"log": ["i"]}, config={"tags": ["langsmith:hidden"]})
def run_that_is_tagged_as_hidden(lg: Any) -> Any:
    """Nothing is told of its tasks, nor of those inside of them."""

    class Log(TypedDict):
        log: Annotated[list[str], operator.add]

    def writes(state: Log, writer: lg.StreamWriter) -> dict[str, Any]:
        writer({"task": "writes"})
        return {"log": ["writes"]}

    def says(state: Log) -> dict[str, Any]:
        return {"log": ["says"]}

    sub = lg.StateGraph(Log).add_node(says).add_edge(lg.START, "says").compile()
    return lg.StateGraph(Log).add_sequence([writes, ("sub", sub)]).add_edge(lg.START, "writes")


@case({"n": 1}, config={"run_name": "mine", "tags": ["t"], "metadata": {"m": 1}})
def config_that_nodes_are_given(lg: Any) -> Any:
    return _tells_its_config(lg)


@case({"n": 1}, config={"recursion_limit": 7, "max_concurrency": 2})
def config_with_limits_that_nodes_are_given(lg: Any) -> Any:
    return _tells_its_config(lg)


def _tells_its_config(lg: Any) -> Any:
    """In a node, in a graph that is a node, and in one that a function calls."""

    class Told(TypedDict):
        n: int
        told: Annotated[list[Any], operator.add]

    def tells(state: Told, config: RunnableConfig) -> dict[str, Any]:
        return {"told": [{key: value for key, value in sorted(config.items()) if key in TELLING and value != []}]}

    sub = lg.StateGraph(Told).add_node(tells).add_edge(lg.START, "tells").compile()

    def calls(state: Told) -> dict[str, Any]:
        return {"told": sub.invoke({"n": 1})["told"]}

    return lg.StateGraph(Told).add_sequence([tells, ("sub", sub), calls]).add_edge(lg.START, "tells")


TELLING = ("run_name", "tags", "recursion_limit", "max_concurrency")
"""Of a config; what else it holds tells where a task stands."""
