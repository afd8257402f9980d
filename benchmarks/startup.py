"""How long a person waits before anything happens: `import betti` and `betti --help`, each in a fresh process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._figure import single, timed

RUNS = 7


def process(*arguments: str) -> float:
    command = [sys.executable, *arguments]
    return timed(lambda: subprocess.run(command, check=True, capture_output=True))


def main() -> None:
    for case, arguments, most in (
        ("import betti", ("-c", "import betti"), 0.3),
        ("betti --help", ("-m", "flows.cli", "--help"), 1.0),
    ):
        process(*arguments)  # warm the file cache
        single("startup", case, [process(*arguments) for _ in range(RUNS)], "s", most).show()


if __name__ == "__main__":
    main()
