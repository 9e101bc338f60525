"""The corpus's graphs as Fleetgraph's, compiled without a saver, as attributes of this module.

Worker processes find graphs by module and attribute: `tests.differential.graphs:diamond`.
"""

from typing import Any

from tests.differential.harness import CASES, cases, compiled
from tests.differential.libraries import library

cases()  # loads the corpus


def __getattr__(name: str) -> Any:
    if name not in CASES:
        raise AttributeError(name)
    # Kept under its name, where a graph that is asked for its place looks.
    return globals().setdefault(name, compiled(CASES[name], library("fleetgraph"), saver=False))
