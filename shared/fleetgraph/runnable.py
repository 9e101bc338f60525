"""A compiled graph as a part of LangChain's compositions, such as `graph | function`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import Runnable, RunnableConfig

if TYPE_CHECKING:
    from fleetgraph.graph.compiled import CompiledGraph


class GraphRunnable(Runnable[Any, Any]):
    """Runs a graph as LangChain runs things.

    Args:
        graph: What to run.
    """

    def __init__(self, graph: CompiledGraph) -> None:
        self.bound = graph
        self.name = graph.name

    @property
    def InputType(self) -> Any:
        """The schema of the graph's input."""
        return getattr(self.bound.builder, "input_schema", Any)

    @property
    def OutputType(self) -> Any:
        """The schema of what the graph returns."""
        return getattr(self.bound.builder, "output_schema", Any)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return self.bound.invoke(input, _ours(config), **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return await self.bound.ainvoke(input, _ours(config), **kwargs)

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        yield from self.bound.stream(input, _ours(config), **kwargs)

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        async for chunk in self.bound.astream(input, _ours(config), **kwargs):
            yield chunk


def _ours(config: RunnableConfig | None) -> Any:
    """Without the callback manager that LangChain makes for each run, unless somebody listens to it."""
    if config and getattr(config.get("callbacks"), "handlers", None) == []:
        return {key: value for key, value in config.items() if key != "callbacks"}
    return config
