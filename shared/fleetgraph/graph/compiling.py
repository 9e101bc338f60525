"""From a graph as it was described to the program that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fleetgraph.channels.barrier import NamedBarrierValue, NamedBarrierValueAfterFinish
from fleetgraph.channels.base import BaseChannel
from fleetgraph.channels.topic import Topic
from fleetgraph.channels.values import EphemeralValue, LastValueAfterFinish
from fleetgraph.constants import END, START
from fleetgraph.graph.schema import coercion_of
from fleetgraph.pregel.callee import Callee
from fleetgraph.pregel.program import BranchProgram, NodeProgram, Program, Reading
from fleetgraph.pregel.reserved import TASKS, trigger_of
from fleetgraph.pregel.task import Write
from fleetgraph.pregel.updates import ROOT, updates_of
from fleetgraph.types import Send

if TYPE_CHECKING:
    from fleetgraph.graph.state import StateGraph

_HANDLER: Final = "__error_handler__{}"
_DEFAULT_HANDLER: Final = "__default_error_handler__"


def program_of(builder: StateGraph, name: str, cache: Any) -> Program:
    """The program of a graph that is sound."""
    channels: dict[str, BaseChannel] = dict(builder.channels)
    channels[START] = EphemeralValue(builder.input_schema, key=START)
    channels[TASKS] = Topic(Send, accumulate=False, key=TASKS)
    triggers: dict[str, list[str]] = {}
    writes: dict[str, list[Write]] = {START: []} | {node: [] for node in builder.nodes}
    for node, spec in builder.nodes.items():
        trigger = trigger_of(node)
        if spec.deferred:
            channels[trigger] = LastValueAfterFinish(Any, key=trigger)
        else:
            channels[trigger] = EphemeralValue(Any, guard=False, key=trigger)
        triggers[node] = [trigger]
    for start, end in builder.edges:
        if end != END:
            writes[start].append((trigger_of(end), None))
    for starts, end in builder.joins:
        if end == END:
            continue
        join = f"join:{'+'.join(starts)}:{end}"
        barrier = NamedBarrierValueAfterFinish if builder.nodes[end].deferred else NamedBarrierValue
        channels[join] = barrier(str, starts, key=join)
        triggers[end].append(join)
        for start in starts:
            writes[start].append((join, start))
    keys = (*builder.channels, *builder.managed)
    nodes = {
        START: NodeProgram(
            name=START,
            callee=None,
            triggers=(START,),
            reading=Reading(START, {}, None),
            updates=updates_of(tuple(builder.schemas[builder.input_schema].channels)),
            edges=tuple(writes[START]),
            branches=_branches(builder, START),
            hidden=True,
        )
    }
    for node, spec in builder.nodes.items():
        nodes[node] = NodeProgram(
            name=node,
            callee=spec.callee,
            triggers=tuple(sorted(triggers[node])),
            reading=_reading(builder, spec.input_schema),
            updates=updates_of(keys),
            edges=tuple(writes[node]),
            branches=_branches(builder, node),
            metadata=spec.metadata,
            retry=spec.retry or builder.defaults.retry,
            cache=spec.cache or builder.defaults.cache,
            timeout=spec.timeout or builder.defaults.timeout,
            error_handler=(
                _HANDLER.format(node)
                if spec.error_handler
                else _DEFAULT_HANDLER
                if builder.defaults.error_handler
                else None
            ),
            subgraph=spec.subgraph,
        )
    handlers = {_HANDLER.format(node): spec.error_handler for node, spec in builder.nodes.items()}
    for handler, function in {**handlers, _DEFAULT_HANDLER: builder.defaults.error_handler}.items():
        if function is not None:
            nodes[handler] = NodeProgram(
                name=handler,
                callee=Callee(function, handler),
                triggers=(),
                reading=_reading(builder, builder.state_schema),
                updates=updates_of(keys),
                retry=builder.defaults.retry,
                timeout=builder.defaults.timeout,
            )
    output_keys = tuple(builder.schemas[builder.output_schema].channels)
    return Program(
        name=name,
        nodes=nodes,
        channels=channels,
        output_keys=ROOT if output_keys == (ROOT,) else output_keys,
        stream_keys=ROOT if tuple(builder.channels) == (ROOT,) else tuple(builder.channels),
        signature=_signature(channels, nodes),
        cache=cache,
    )


def _branches(builder: StateGraph, source: str) -> tuple[BranchProgram, ...]:
    own_schema = builder.nodes[source].input_schema if source in builder.nodes else builder.state_schema
    return tuple(
        BranchProgram(
            branch=branch,
            reading=_reading(builder, branch.input_schema or own_schema),
            passthrough=branch.input_schema is None,
        )
        for branch in builder.branches.get(source, {}).values()
    )


def _reading(builder: StateGraph, schema: Any) -> Reading:
    described = builder.schemas[schema]
    keys = tuple(described.channels)
    if keys == (ROOT,):
        return Reading(ROOT, {}, None)
    return Reading(keys, described.managed, coercion_of(schema))


def _signature(channels: Mapping[str, BaseChannel], nodes: Mapping[str, NodeProgram]) -> str:
    """The graph's shape in words: nodes, what they read, edges, branches, channels."""
    lines = [f"channel {name} {channel.signature}" for name, channel in sorted(channels.items())]
    for name, node in sorted(nodes.items()):
        reads = ",".join(sorted([*node.reading.channels, *node.reading.managed]))
        edges = ",".join(sorted(channel for channel, _ in node.edges))
        lines.append(f"node {name} on {','.join(node.triggers)} reads {reads} then {edges}")
        if node.subgraph is not None:
            lines.append(f"graph {name} {node.subgraph.program.fingerprint}")
        for b in node.branches:
            ends = sorted(f"{key}={end}" for key, end in (b.branch.ends or {}).items())
            lines.append(f"branch {name} {b.branch.name} to {','.join(ends) or '*'}")
    return "\n".join(lines)
