"""The environment that the peers are installed in, apart from Fleetgraph's own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Final

ENVIRONMENT_VARIABLE: Final = "FLEETGRAPH_BENCHMARK_PEERS"
"""Names the folder of the environment, if it is not to be the default one."""

DEFAULT_FOLDER: Final = Path(tempfile.gettempdir()) / "fleetgraph-benchmark-peers"

REQUIREMENTS: Final = Path(__file__).parent.parent / "requirements-peers.txt"


_VERSIONS: Final = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"


def folder() -> Path:
    """Where the environment is, or is to be."""
    return Path(os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_FOLDER)


def peer_python() -> str | None:
    """The interpreter of the environment; None if there is none."""
    python = folder() / "bin" / "python"
    return str(python) if python.exists() else None


def install() -> Path:
    """Make the environment, or bring it up to what is required, and return where it is.

    Raises:
        subprocess.CalledProcessError: pip could not install them.
    """
    python = folder() / "bin" / "python"
    if not python.exists():
        venv.create(folder(), with_pip=True, symlinks=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS], check=True, stdout=sys.stderr)
    return folder()


def peer_versions(python: str) -> dict[str, str]:
    """The versions of what is installed there."""
    names = ["celery", "ray", "distributed"]
    answer = subprocess.run([python, "-c", _VERSIONS, *names], check=True, capture_output=True, text=True)
    return dict(zip(names, answer.stdout.split(), strict=True))
