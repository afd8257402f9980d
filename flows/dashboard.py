"""`make dashboard`: a Prefect server, the nightly deployment with its worker, and the report on a local address.

Everything runs in the foreground and ends with Ctrl-C; what is already running is used, not started twice.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rich.console import Console

from betti import params
from betti.errors import BadInput, BettiError
from flows import server

__all__ = ["main", "report_address", "serve_reports"]

STARTUP_SECONDS = 120.0
REPORTS = "data/9_reports"


class ServerStartError(BettiError):
    """The Prefect server did not come up."""

    def __init__(self, log: Path) -> None:
        super().__init__(f"the Prefect server did not answer within {STARTUP_SECONDS:.0f} s. Its words are in {log}")


def report_address(port: int) -> str:
    """Where the dashboard serves the reports."""
    return f"http://127.0.0.1:{port}"


def main() -> int:
    """Start what is missing, print the addresses, and serve the nightly deployment until interrupted."""
    console, root = Console(soft_wrap=True), Path.cwd()
    started: subprocess.Popen[bytes] | None = None
    try:
        knobs = params.load(root).flow
        if not server.answers(server.DEFAULT_URL):
            console.print("Starting a Prefect server (up to a minute the first time) ...")
            started = _start_server(root)
        os.environ["PREFECT_API_URL"] = server.DEFAULT_URL
        serve_reports(root, knobs.report_port)
        console.print(f"Dashboard: [bold]{server.DEFAULT_URL.removesuffix('/api')}[/]", highlight=False)
        console.print(f"Report:    [bold]{report_address(knobs.report_port)}/index.html[/]", highlight=False)
        console.print(
            f"Nightly:   cron '{knobs.cron}' UTC; a run that would overlap another is refused", highlight=False
        )
        _serve_nightly(knobs.cron)
    except BadInput as error:
        console.print(f"[bold red]betti:[/] {error}", highlight=False)
        return 2
    except BettiError as error:
        console.print(f"[bold red]betti:[/] {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
    finally:
        if started is not None:
            started.terminate()
            started.wait()
    return 0


def _start_server(root: Path) -> subprocess.Popen[bytes]:
    """Start `prefect server start` and wait until it answers."""
    log = root / ".betti" / "prefect-server.log"
    log.parent.mkdir(exist_ok=True)
    environment = {**os.environ, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start"], env=environment, stdout=out, stderr=out
        )
    deadline = time.monotonic() + STARTUP_SECONDS
    while not server.answers(server.DEFAULT_URL, timeout=0.5):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise ServerStartError(log)
        time.sleep(0.5)
    return process


def serve_reports(root: Path, port: int) -> ThreadingHTTPServer | None:
    """Serve data/9_reports on this machine alone; None where the port is taken (by an earlier dashboard).

    A browser does not follow a file:// link from the dashboard's page, hence an address of its own.
    """
    folder = root / REPORTS
    folder.mkdir(parents=True, exist_ok=True)
    try:
        web = ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(folder)))
    except OSError:
        return None
    threading.Thread(target=web.serve_forever, daemon=True).start()
    return web


class _Quiet(SimpleHTTPRequestHandler):
    """No line per request."""

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def _serve_nightly(cron: str) -> None:
    """Register the deployment and run what it schedules, in this process, until interrupted."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.schedules import Cron

    from flows.retrain import retrain

    retrain.serve(
        name="nightly",
        schedules=[Cron(cron, timezone="UTC")],
        parameters={"until": "now"},
        global_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        limit=1,
        pause_on_shutdown=False,
        print_starting_message=False,
    )


if __name__ == "__main__":
    sys.exit(main())
