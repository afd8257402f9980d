"""`python -m betti STAGE [ITEM]`: every cmd in dvc.yaml. Exit codes: 0 done, 1 failed, 2 bad input."""

from __future__ import annotations

from betti import threads

threads.pin()

import sys
import time
from pathlib import Path

from betti import binding, progress
from betti.errors import BadInput, BettiError

USAGE = "usage: python -m betti STAGE [ITEM], in the repository's root; `betti --help` for everything else"


def main(arguments: list[str]) -> int:
    """Run one stage, or one item of it."""
    if not 1 <= len(arguments) <= 2 or arguments[0].startswith("-"):
        sys.stderr.write(USAGE + "\n")
        return 2
    item = arguments[1] if len(arguments) == 2 else None
    try:
        with progress.listening(_say):
            binding.run(Path.cwd(), arguments[0], item)
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except BettiError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


_said_at = 0.0


def _say(done: int, total: int, what: str) -> None:
    """At most one line a second, and the last one: whoever started this process shows it."""
    global _said_at  # one process, one terminal
    now = time.monotonic()
    if done == total or now - _said_at >= 1.0:
        _said_at = now
        sys.stderr.write(f"progress {done}/{total} {what}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
