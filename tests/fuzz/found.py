"""Scenarios on which the libraries once differed, as the long run has shrunk them: they are played in every run."""

from __future__ import annotations

from tests.fuzz.descriptions import Graph, Input, Node, Scenario, Steer

FOUND: dict[str, Scenario] = {
    "new input after an update that no superstep has taken": Scenario(
        Graph((Node(asks=1), Node())), turns=(Input(), Steer(goto=(1,), update=True), Input())
    ),
}
