"""The process in which one subject is measured: python -m benchmarks.host MODULE:CLASS ARGUMENTS

Each line on stdin is the size of a turn; each line on stdout is JSON: what the turn gave, or the error that ended all.
The process ends with its stdin. It also runs where Fleetgraph is not installed.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.model import Subject


def main() -> int:
    """Host a subject. Returns the process's exit code."""
    where, arguments = sys.argv[1], json.loads(sys.argv[2])
    # What the subject's libraries print, and the processes they start, must not end up among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.set_inheritable(answers.fileno(), False)
    os.dup2(2, 1)

    def tell(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        module, _, name = where.partition(":")
        make: Callable[..., Subject] = getattr(import_module(module), name)
        with make(**arguments) as subject:
            tell({"ready": True})
            for line in sys.stdin:
                tell({"samples": subject.round(int(line))})
    except Exception:
        tell({"error": traceback.format_exc()})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
