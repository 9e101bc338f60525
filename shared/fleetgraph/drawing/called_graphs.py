"""Which graph a node is, or calls."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from fleetgraph.graph.compiled import CompiledGraph
    from fleetgraph.pregel.program import NodeProgram

_NAME_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_DEREF"})
_ATTRIBUTE_LOADS = frozenset({"LOAD_ATTR", "LOAD_METHOD"})


def called_graph(graph: CompiledGraph, node: str) -> CompiledGraph | None:
    """The graph that a node is, or the first that its function can be seen to reach; None if there is none."""
    program = graph.program.nodes.get(node)
    return None if program is None else program.graph


def reached_graph(program: NodeProgram) -> CompiledGraph | None:
    """The graph that a node is, or the first that its function can be seen to reach; None if there is none.

    A function reaches a graph by a variable of the module or function around it, or by an attribute of a module.
    """
    from fleetgraph.graph.compiled import CompiledGraph

    if program.subgraph is not None:
        return program.subgraph
    if program.callee is None:
        return None
    for code in _parts(program.callee.code):
        for value in [code, *_outside_values(code)]:
            owner = value.__self__ if inspect.ismethod(value) else value  # `subgraph.invoke` kept in a variable
            if isinstance(owner, CompiledGraph):
                return owner
    return None


def _parts(code: Any) -> Iterator[Any]:
    """The code, and what it is composed of where it is a LangChain sequence, lambda or binding."""
    yield code
    for attribute in ("steps", "func", "afunc", "bound"):
        part: Any = inspect.getattr_static(code, attribute, None) and getattr(code, attribute, None)
        for one in cast("list[Any]", part) if isinstance(part, list) else [part]:
            if one is not None:
                yield from _parts(one)


def _outside_values(code: Any) -> Iterator[Any]:
    """What a function's names stand for, as far as they are not its own variables."""
    function: Any = inspect.unwrap(code.__func__ if inspect.ismethod(code) else code)
    if not isinstance(function, FunctionType):
        return
    cells: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:  # a variable that is assigned later
            continue
    yield from cells.values()
    for inner in _nested(function.__code__):
        value: Any = None
        for instruction in dis.get_instructions(inner):
            if instruction.opname in _NAME_LOADS:
                value = cells.get(instruction.argval, function.__globals__.get(instruction.argval))
                yield value
            elif instruction.opname in _ATTRIBUTE_LOADS and isinstance(value, ModuleType):
                # Only of a module: asking any other object for an attribute may run its code.
                value = getattr(value, instruction.argval, None)
                yield value
            else:
                value = None


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)
