"""Stores: what nodes remember beyond a thread."""

# pyright: basic, reportInvalidTypeForm=false, reportIndexIssue=false, reportTypedDictNotRequiredAccess=false

from importlib import import_module
from typing import Any

from tests.differential.cases.branches import Log
from tests.differential.cases.functional import Workflow
from tests.differential.cases.policies import compiling
from tests.differential.harness import Turn, case, resume


def stored(lg: Any, *nodes: Any) -> Any:
    """The nodes in a row, in a graph with a store."""
    builder = lg.StateGraph(Log).add_sequence(list(nodes))
    return compiling(builder.add_edge(lg.START, nodes[0].__name__), store=lg.InMemoryStore())


def store_type(lg: Any) -> Any:
    return import_module(f"{lg.name}.store.base").BaseStore


def items(found: Any) -> list[str]:
    return [f"{item.namespace} {item.key} {item.value}" for item in found]


@case({"log": ["i"]}, {"log": ["j"]})
def store_parameter(lg: Any) -> Any:
    """What one turn puts, the next gets."""

    def counts(state: Log, store: store_type(lg)) -> dict[str, Any]:
        item = store.get(("counts",), "runs")
        runs = item.value["runs"] + 1 if item else 1
        store.put(("counts",), "runs", {"runs": runs})
        return {"log": [f"run {runs}"]}

    return stored(lg, counts)


@case({"log": ["i"]})
def store_parameter_without_annotation(lg: Any) -> Any:
    def node(state, store):
        store.put(("n",), "k", {"v": 1})
        return {"log": [str(store.get(("n",), "k").value)]}

    return stored(lg, node)


@case({"log": ["i"]})
def store_parameter_by_keyword(lg: Any) -> Any:
    def node(state: Log, *, store: store_type(lg)) -> dict[str, Any]:
        return {"log": [str(store.get(("n",), "k"))]}

    return stored(lg, node)


@case({"log": ["i"]})
def store_of_the_runtime(lg: Any) -> Any:
    def first(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        runtime.store.put(("notes", "user"), "a", {"text": "from first"})
        return {"log": ["first"]}

    def second(state: Log) -> dict[str, Any]:
        return {
            "log": [
                *items(lg.get_store().search(("notes",))),
                *items([lg.get_runtime().store.get(("notes", "user"), "a")]),
            ]
        }

    return stored(lg, first, second)


@case({"log": ["i"]})
def what_a_store_does(lg: Any) -> Any:
    def node(state: Log, store: store_type(lg)) -> dict[str, Any]:
        for n in range(5):
            store.put(("docs", "even" if n % 2 == 0 else "odd"), f"d{n}", {"n": n, "kind": "x" if n < 3 else "y"})
        store.put(("docs", "even"), "d0", {"n": 100, "kind": "x"})
        store.delete(("docs", "odd"), "d3")
        store.delete(("docs", "odd"), "not there")
        found = [
            items(store.search(("docs",))),
            items(store.search(("docs", "even"))),
            items(store.search(("docs",), filter={"kind": "x"})),
            items(store.search(("docs",), limit=2)),
            items(store.search(("docs",), limit=2, offset=2)),
            items(store.search(("nothing",))),
            [str(namespace) for namespace in store.list_namespaces()],
            [str(namespace) for namespace in store.list_namespaces(prefix=("docs",), max_depth=1)],
        ]
        missing = store.get(("docs", "odd"), "d3")
        return {"log": [*(str(part) for part in found), str(missing)]}

    return stored(lg, node)


@case({"log": ["i"]})
def graph_without_a_store(lg: Any) -> Any:
    def node(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        return {"log": [f"{runtime.store} {lg.get_store()}"]}

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


@case({"log": ["i"]})
def store_parameter_in_a_graph_without_a_store(lg: Any) -> Any:
    def node(state: Log, store: store_type(lg)) -> dict[str, Any]:
        return {"log": [str(store)]}

    return lg.StateGraph(Log).add_node(node).add_edge(lg.START, "node")


@case(
    *(
        Turn({"log": [user]}, config={"configurable": {"thread_id": thread, "user": user}})
        for thread, user in (("1", "ann"), ("2", "bob"), ("3", "ann"))
    ),
)
def store_across_threads(lg: Any) -> Any:
    """A user's notes are found in another thread of his."""

    def remembers(state: Log, config, store: store_type(lg)) -> dict[str, Any]:
        user = config["configurable"]["user"]
        known = items(store.search(("notes", user)))
        store.put(("notes", user), f"note {len(known)}", {"said": state["log"][-1]})
        return {"log": [f"{user} knew {known}"]}

    return stored(lg, remembers)


@case({"log": ["i"]}, {"log": ["j"]})
def store_in_a_subgraph(lg: Any) -> Any:
    """It is the parent's, even where the subgraph was compiled with one of its own."""

    def counts(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        found = runtime.store.search(("counts",))
        runtime.store.put(("counts",), f"run {len(found)}", {})
        return {"log": [f"{len(found)} found"]}

    def calls(state: Log) -> dict[str, Any]:
        return {"log": sub.invoke({"log": []})["log"]}

    builder = lg.StateGraph(Log).add_node(counts).add_edge(lg.START, "counts")
    sub, with_own = builder.compile(), builder.compile(store=lg.InMemoryStore())
    outer = lg.StateGraph(Log).add_sequence([counts, ("sub", sub), ("own", with_own), calls])
    return compiling(outer.add_edge(lg.START, "counts"), store=lg.InMemoryStore())


@case({"log": ["i"]})
def stores_of_parallel_nodes(lg: Any) -> Any:
    """Each puts its own; the node after them finds all."""

    def puts(name: str) -> Any:
        def node(state: Log, store: store_type(lg)) -> dict[str, Any]:
            store.put(("all", name), "k", {"by": name})
            return {"log": [name]}

        return node

    def finds(state: Log, store: store_type(lg)) -> dict[str, Any]:
        return {"log": sorted(items(store.search(("all",))))}

    builder = lg.StateGraph(Log)
    for name in "cab":
        builder.add_node(name, puts(name)).add_edge(lg.START, name)
    builder.add_node(finds).add_edge(["a", "b", "c"], "finds")
    return compiling(builder, store=lg.InMemoryStore())


@case({"log": ["i"]}, async_only=True)
def store_in_async_nodes(lg: Any) -> Any:
    async def puts(state: Log, store: store_type(lg)) -> dict[str, Any]:
        await store.aput(("n",), "k", {"v": 1})
        return {"log": ["put"]}

    async def gets(state: Log, runtime: lg.Runtime) -> dict[str, Any]:
        item = await runtime.store.aget(("n",), "k")
        found = await lg.get_store().asearch(("n",))
        await runtime.store.adelete(("n",), "k")
        return {"log": [str(item.value), str(items(found)), str(await runtime.store.aget(("n",), "k"))]}

    return stored(lg, puts, gets)


@case({"log": ["i"]})
def store_in_a_branch_function(lg: Any) -> Any:
    def puts(state: Log, store: store_type(lg)) -> dict[str, Any]:
        store.put(("go",), "to", {"node": "b"})
        return {"log": ["put"]}

    def route(state: Log) -> str:
        return lg.get_store().get(("go",), "to").value["node"]

    def b(state: Log) -> dict[str, Any]:
        return {"log": ["b"]}

    builder = lg.StateGraph(Log).add_node(puts).add_node(b).add_edge(lg.START, "puts")
    return compiling(builder.add_conditional_edges("puts", route, ["b"]), store=lg.InMemoryStore())


@case({"log": ["i"]}, resume("yes"), without_saver=False)
def store_and_an_interrupt(lg: Any) -> Any:
    """What was put before an interrupt stays put, and is put again."""

    def ask(state: Log, store: store_type(lg)) -> dict[str, Any]:
        seen = len(store.search(("asked",)))
        store.put(("asked",), str(seen), {})
        return {"log": [f"{lg.interrupt(f'seen {seen}')} after {seen}"]}

    return stored(lg, ask)


@case(1, 2)
def store_in_a_workflow(lg: Any) -> Any:
    @lg.task
    def remembers(n: int, runtime: lg.Runtime) -> list[str]:
        runtime.store.put(("n",), str(n), {"n": n})
        return items(lg.get_store().search(("n",)))

    def workflow(n: int, *, store: store_type(lg)) -> list[str]:
        return [*remembers(n).result(), str(store.get(("n",), "1").value)]

    return Workflow(lg, workflow, store=lg.InMemoryStore())
