"""Subjects in processes of their own, so that nothing one of them imports, starts or allocates weighs on another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.model import TURN_SECONDS, Contender, Samples

REPOSITORY: Final = Path(__file__).parent.parent

END_SECONDS: Final = 30.0
"""How long a subject may take to tear down."""


class SubjectFailed(Exception):
    """A subject could not be measured."""


class Child:
    """A contender's process. A context manager: entering it returns when the subject is set up.

    Args:
        contender: What to measure.
        arguments: What its class is called with.
        python: The interpreter of another environment, for one that needs it; else it gets this one, and can import
            what this process can.
    """

    def __init__(self, contender: Contender, arguments: Mapping[str, Any], python: str | None = None) -> None:
        self._name = contender.name
        self._command = [python or sys.executable, "-m", "benchmarks.host", contender.where]
        self._command.append(json.dumps(dict(arguments)))
        path = [path or os.getcwd() for path in sys.path] if python is None else [str(REPOSITORY)]
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        # Installed packages come compiled. What is measured from its source tree may keep what it has compiled, too.
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment,
            start_new_session=True,  # so that all it has started can be ended with it
        )
        try:
            self._answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()
        self._process.stdout.close()

    def round(self, size: int) -> Samples:
        """Have the subject take a turn.

        Raises:
            SubjectFailed: It raised something, died, or took too long.
        """
        assert self._process.stdin is not None
        try:
            print(size, file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise SubjectFailed(f"{self._name} has ended") from None
        return self._answer()["samples"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watch = threading.Timer(TURN_SECONDS, self._kill)
        watch.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watch.cancel()
        if not line:
            raise SubjectFailed(f"{self._name} died, or took longer than {TURN_SECONDS:.0f} s")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SubjectFailed(f"{self._name} failed:\n{answer['error']}")
        return answer

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
