"""Which nodes can follow which: a rehearsal of the graph's supersteps in which every node goes wherever it may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from fleetgraph.channels.base import MISSING, BaseChannel
from fleetgraph.constants import END
from fleetgraph.pregel.program import NodeProgram, Program
from fleetgraph.pregel.reserved import trigger_of

SUPERSTEPS: Final = 251
"""How long a graph that never ends is rehearsed. The number shows: the nodes of an endless loop take turns, and the
edge to END is drawn from the one whose turn the last superstep is. LangGraph stops at this number."""

Destinations = Mapping[str, str | None]
"""Where the Commands of a node may go, with labels."""


class Reach(NamedTuple):
    """That `target` can run because of `source`."""

    source: str
    target: str
    conditional: bool
    label: str | None


class _Signal(NamedTuple):
    """A write that may wake a node."""

    channel: str
    conditional: bool
    label: str | None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was seen.

    Attributes:
        reaches: Every pair of nodes, and of a node and END where a branch or a Command names it.
        first: The nodes that ran in the first superstep.
        last: The nodes that ran in the last superstep.
    """

    reaches: frozenset[Reach]
    first: tuple[str, ...]
    last: tuple[str, ...]


def rehearse(program: Program, destinations: Mapping[str, Destinations]) -> Rehearsal:
    """Run the graph's supersteps without its code.

    Args:
        program: The compiled graph.
        destinations: For each node whose Commands may go somewhere, where to.
    """
    return _Rehearsing(program, destinations).run()


class _Rehearsing:
    def __init__(self, program: Program, destinations: Mapping[str, Destinations]) -> None:
        self.input_channel = program.input_channel
        self.nodes = program.nodes
        self.triggered = program.triggered
        self.channels: dict[str, BaseChannel] = {
            name: channel.from_checkpoint(MISSING)
            for name, channel in program.channels.items()
            if name in program.triggered
        }
        self.ways = {name: _ways(node, destinations.get(name, {})) for name, node in program.nodes.items()}
        self.reaches: set[Reach] = set()
        self.chosen: dict[str, set[_Signal]] = {}
        """The signals each node's branches and Commands can give, from its first superstep on."""
        self.given: dict[str, set[_Signal]] = {}
        """The signals each node gave when it ran last, less those that were used up since."""

    def run(self) -> Rehearsal:
        first = running = self._apply((), {self.input_channel: [None]})
        now: dict[str, set[_Signal]] = {}
        for _ in range(SUPERSTEPS):
            if not running:
                break
            now = {}
            writes: dict[str, list[object]] = {}
            for name in running:
                now[name] = self._play(name, writes)
            self.given.update(now)
            givers: dict[str, set[tuple[str, _Signal]]] = {}
            for source, signals in self.given.items():
                for signal in signals:
                    givers.setdefault(signal.channel, set()).add((source, signal))
            running = self._apply(running, writes)
            for name in running:
                self._explain(name, givers, now)
        return Rehearsal(frozenset(self.reaches), first, tuple(now))

    def _play(self, name: str, writes: dict[str, list[object]]) -> set[_Signal]:
        """Let a node write all it can; its choices only once, or a loop behind a condition would never end."""
        choices: dict[str, str | None] = {}
        if name not in self.chosen:
            self.chosen[name] = set()
            for target, label in self.ways[name]:
                if target == END:
                    self.reaches.add(Reach(name, END, True, label))
                elif trigger_of(target) in self.channels:
                    choices[trigger_of(target)] = label
                    self.chosen[name].add(_Signal(trigger_of(target), True, label))
                    writes.setdefault(trigger_of(target), []).append(None)
        signals = set(self.chosen[name])
        for channel, value in self.nodes[name].edges:
            writes.setdefault(channel, []).append(value)
            signals.add(_Signal(channel, channel in choices, choices.get(channel)))
        return signals

    def _apply(self, ran: Sequence[str], writes: Mapping[str, list[object]]) -> tuple[str, ...]:
        """Bring the channels to the next superstep, as the machine does, and say which nodes run in it."""
        for channel in {trigger for name in ran for trigger in self.nodes[name].triggers}:
            self.channels[channel].consume()
        woken = {
            name
            for name, channel in self.channels.items()
            if channel.update(writes.get(name, ())) and channel.is_available()
        }
        if not woken:
            woken = {name for name, channel in self.channels.items() if channel.finish() and channel.is_available()}
        return tuple(dict.fromkeys(node for channel in sorted(woken) for node in self.triggered[channel]))

    def _explain(
        self, name: str, givers: Mapping[str, set[tuple[str, _Signal]]], now: Mapping[str, set[_Signal]]
    ) -> None:
        """Record who made a node run: whoever gave one of its signals, or else whoever ran just before it."""
        just_now = False
        for trigger in self.nodes[name].triggers:
            for source, signal in givers.get(trigger, ()):
                self.reaches.add(Reach(source, name, signal.conditional, signal.label))
                if signal in now.get(source, ()):
                    just_now = True
                else:
                    self.given[source].discard(signal)
        if not just_now:
            # A deferred node: what it waited for is drawn too, as it does run after that.
            self.reaches.update(Reach(source, name, True, None) for source in now)


def _ways(node: NodeProgram, destinations: Destinations) -> list[tuple[str, str | None]]:
    """Where a node may go by its own choice, with labels: by Commands, then by branches."""
    branched = [(end, str(answer)) for program in node.branches for answer, end in (program.branch.ends or {}).items()]
    return [*destinations.items(), *branched]
