"""What the programs send and save besides what their schemas name is allowed; users of Fleetgraph do the same."""

from fleetgraph.wire import allow
from tests.differential.cases.commands_as_input import Update
from tests.differential.cases.control_flow import Colour, Order, Shape
from tests.differential.cases.functional import Model, Point
from tests.differential.cases.interrupts import Form
from tests.differential.cases.sends import Parcel
from tests.differential.cases.streaming import Progress, Settings

for sent in (Colour, Form, Model, Order, Parcel, Point, Progress, Settings, Shape, Update):
    allow(sent)
