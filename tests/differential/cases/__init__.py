"""The corpus: importing this package registers every case. One module a theme."""

from tests.differential.cases import (
    branches,
    chat,
    commands,
    failures,
    guide,
    inputs,
    nodes,
    reducers,
    routing,
    schemas,
    sends,
    streaming,
    threads,
)

__all__ = [
    "branches",
    "chat",
    "commands",
    "failures",
    "guide",
    "inputs",
    "nodes",
    "reducers",
    "routing",
    "schemas",
    "sends",
    "streaming",
    "threads",
]
