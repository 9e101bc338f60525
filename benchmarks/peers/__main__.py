"""Install what we are compared with into an environment of its own: python -m benchmarks.peers install"""

from __future__ import annotations

import argparse

from benchmarks.peers.environment import ENVIRONMENT_VARIABLE, install


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("what", choices=["install"], help=f"where to: {ENVIRONMENT_VARIABLE}, or a temporary folder")
    parser.parse_args()
    print(f"the peers are in {install()}")


if __name__ == "__main__":
    main()
