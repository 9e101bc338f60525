"""Driving runs over Redis."""

from fleetgraph.coordinator.coordinator import Coordinator
from fleetgraph.coordinator.run import Limits, Run

__all__ = ["Coordinator", "Limits", "Run"]
