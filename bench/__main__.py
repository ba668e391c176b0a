"""`python -m bench [name…]`: measures the budgets, all or those that are named; each prints its table."""

import importlib
import sys

BENCHES = ("claim", "facade", "money", "pages", "split", "start", "statistics", "stream")
"""Modules of this folder with a `run()`."""


def main(names: list[str]) -> None:
    """Run benches one after the other: two at once would measure each other."""
    if unknown := set(names) - set(BENCHES):
        sys.exit(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    for name in names or BENCHES:
        importlib.import_module(f"bench.{name}").run()


if __name__ == "__main__":
    main(sys.argv[1:])
