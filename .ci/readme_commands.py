"""Print the shell commands of README.md that a reader is told to run, for `.ci/run` to run them.

Those are the blocks fenced as ```bash. What can't be run unattended (it never ends, or needs another
machine) is fenced as ```sh.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main() -> None:
    readme = Path(sys.argv[1])
    blocks: list[str] = BLOCK.findall(readme.read_text())
    if not blocks:
        raise SystemExit(f"{readme}: no block fenced as ```bash")
    print("\n".join(blocks))


if __name__ == "__main__":
    main()
