"""The corpus's fleet; and what the programs send and save besides what their schemas name is allowed, as users do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fleetgraph.fleet import Fleet
from fleetgraph.wire import allow
from tests.differential.cases.commands_as_input import Update
from tests.differential.cases.control_flow import Colour, Order, Shape
from tests.differential.cases.functional import Model, Point
from tests.differential.cases.interrupts import Form
from tests.differential.cases.sends import Parcel
from tests.differential.cases.streaming import Progress, Settings

for sent in (Colour, Form, Model, Order, Parcel, Point, Progress, Settings, Shape, Update):
    allow(sent)


@pytest.fixture(scope="session")
def fleet() -> Iterator[Any]:
    """An inline fleet for all tests of a process: coordinator and workers are threads, the Redis is a real one.

    It has more workers than one, so that tasks of one superstep run on several.
    """
    with Fleet.inline(workers=2) as fleet:
        yield fleet
