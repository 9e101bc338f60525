"""Print the shell commands of README.md that a reader is told to run, as a script that ends at the first that fails.

Those are the lines of blocks fenced as ```bash, one command a line (a line that ends with a backslash goes on in the
next). What can't be run unattended, because it never ends or needs another machine, is fenced as ```sh.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(readme: str) -> list[str]:
    """The commands in the order of the page, without empty lines and comments."""
    lines = [line for block in BLOCK.findall(readme) for line in block.replace("\\\n", "").splitlines()]
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def main() -> None:
    found = commands(Path(sys.argv[1]).read_text())
    if not found:
        raise SystemExit(f"{sys.argv[1]}: no block fenced as ```bash")
    for command in found:
        # `set -e` would not do: of `a && b` it overlooks a failure of a.
        print(f"{{\n{command}\n}} || exit 1")


if __name__ == "__main__":
    main()
