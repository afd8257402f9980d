"""Which Prefect API a run talks to: a server that answers, else an ephemeral one on the same database.

Import this before Prefect: its settings are read once.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from urllib.parse import urlparse

__all__ = ["DEFAULT_URL", "Api", "answers", "choose"]

DEFAULT_URL = "http://127.0.0.1:4200/api"


@dataclass(frozen=True)
class Api:
    """The API that was chosen: its address (None = ephemeral), and a warning for the user where one is due."""

    url: str | None
    warning: str | None = None


def answers(url: str, timeout: float = 1.0) -> bool:
    """Whether something listens at the address."""
    parts = urlparse(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=timeout):
            return True
    except OSError:
        return False


def choose() -> Api:
    """Choose the API and tell Prefect, by its own environment variables, before it is imported."""
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    configured = os.environ.get("PREFECT_API_URL")
    if configured and answers(configured):
        return Api(configured)
    if not configured and answers(DEFAULT_URL, timeout=0.2):
        os.environ["PREFECT_API_URL"] = DEFAULT_URL
        return Api(DEFAULT_URL)
    os.environ.pop("PREFECT_API_URL", None)
    os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "true"
    if configured:
        return Api(
            None,
            f"no Prefect server answers at {configured} (PREFECT_API_URL). Start one with `make dashboard`. "
            "This run goes on without it, and will show up when a server on the same database is started",
        )
    return Api(None)
