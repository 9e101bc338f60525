"""What a fleet does, for people and programs that look on: read from Redis, told by the runs' channels."""

from fleetgraph.dashboard.board import Board
from fleetgraph.dashboard.picture import Picture
from fleetgraph.dashboard.watching import look, watch

__all__ = ["Board", "Picture", "look", "watch"]
