"""How each stage is run: retries, timeout, weight, own process or not. One row per stage, nothing else.

Retries are for what may pass by itself: a network source. A stage that computes gives the same answer twice. There are
no Prefect tags: for each new set of tags a run waits about a second while Prefect looks for a concurrency limit.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["POLICIES", "Policy", "of"]


@dataclass(frozen=True)
class Policy:
    """One stage's row.

    Attributes:
        own_process: run `python -m betti` for it. Torch needs it: two runs in threads of one process would share the
            global random generator; and a process can be killed at its timeout, a thread cannot.
        timeout_seconds: the longest its process may take; None for a stage inside this process.
        retries: how often to try again.
        retry_delay_seconds: pause before each try.
        weight: rough cost; the heaviest stage that is ready starts first.
    """

    own_process: bool = False
    timeout_seconds: float | None = None
    retries: int = 0
    retry_delay_seconds: float = 0.0
    weight: int = 1


POLICIES = {
    "ingest": Policy(retries=3, retry_delay_seconds=10.0),
    "validate": Policy(),
    "features": Policy(weight=5),
    "features@topology": Policy(own_process=True, timeout_seconds=6 * 3600, weight=9),
    "select": Policy(),
    "labels": Policy(),
    "split": Policy(),
    "train": Policy(own_process=True, timeout_seconds=12 * 3600, weight=8),
    "evaluate": Policy(own_process=True, timeout_seconds=3 * 3600, weight=4),
    "compare": Policy(),
    "report": Policy(),
}


def of(stage: str) -> Policy:
    """The policy of a stage or one of its items: the item's own row where it has one."""
    return POLICIES.get(stage) or POLICIES[stage.partition("@")[0]]
