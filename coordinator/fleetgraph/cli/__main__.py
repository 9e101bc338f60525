"""`python -m fleetgraph.cli`, the same as `fleetgraph`."""

import sys

from fleetgraph.cli import main

sys.exit(main())
