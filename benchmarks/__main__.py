"""`make bench`: run every benchmark and print the table."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table


def main() -> int:
    here = Path(__file__).parent
    table = Table("benchmark", "case", "ours", "reference", "ratio (spread)", "target", "met")
    for script in sorted(here.glob("[a-z]*.py")):
        print(f"# {script.name}", flush=True)
        command = [sys.executable, str(script)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=here.parent)
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if line.startswith("{"):
                table.add_row(*_cells(json.loads(line)))
        if process.wait() != 0:
            table.add_row(script.stem, "did not finish", "", "", "", "", "[red]no[/]")
    console = Console(width=160)
    console.print(table)
    console.print(
        f"{platform.processor() or platform.machine()}, {platform.platform()}, Python {platform.python_version()}"
    )
    return 0


def _cells(figure: dict) -> list[str]:
    reference = "" if figure["reference"] is None else f"{figure['reference']} {figure['unit']}"
    ratio = "" if figure["ratio"] is None else "{} ({} to {})".format(*figure["ratio"])
    met = "[green]yes[/]" if figure["met"] else "[red]no[/]"
    ours = f"{figure['ours']} {figure['unit']}"
    return [figure["benchmark"], figure["case"], ours, reference, ratio, figure["target"], met]


if __name__ == "__main__":
    sys.exit(main())
