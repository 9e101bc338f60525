"""Channels: the cells of a graph's state."""

from fleetgraph.channels.barrier import NamedBarrierValue, NamedBarrierValueAfterFinish
from fleetgraph.channels.base import BaseChannel
from fleetgraph.channels.binop import BinaryOperatorAggregate
from fleetgraph.channels.topic import Topic
from fleetgraph.channels.values import AnyValue, EphemeralValue, LastValue, LastValueAfterFinish, UntrackedValue

__all__ = [
    "AnyValue",
    "BaseChannel",
    "BinaryOperatorAggregate",
    "EphemeralValue",
    "LastValue",
    "LastValueAfterFinish",
    "NamedBarrierValue",
    "NamedBarrierValueAfterFinish",
    "Topic",
    "UntrackedValue",
]
