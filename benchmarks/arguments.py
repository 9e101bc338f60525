"""What words on the command line have to be."""

from __future__ import annotations

import argparse
from pathlib import Path


def positive(word: str) -> int:
    """A number above 0, on the command line."""
    if (number := int(word)) < 1:
        raise ValueError(word)
    return number


def new_file(word: str) -> Path:
    """A file to be written, on the command line."""
    path = Path(word)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{word} can't be written: it is a folder, or in none that exists")
    return path
