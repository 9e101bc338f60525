"""What Celery's workers load."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

_url = os.environ["FLEETGRAPH_BENCHMARK_CELERY"]
_celery: Any = import_module("celery")  # in the peers' environment only, where no type checker looks

app: Any = _celery.Celery("benchmark", broker=_url, backend=_url)


def _noop(*_: object) -> None:
    """The task, and the callback of chords."""


noop: Any = app.task(_noop)
