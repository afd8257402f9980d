"""What the models of a run are called: one for each fold, and the final one."""

from __future__ import annotations

__all__ = ["FINAL", "member_name"]

FINAL = "final"


def member_name(fold: int | None) -> str:
    """The name of a fold's model; None is the final one.

    >>> member_name(2), member_name(None)
    ('fold_2', 'final')
    """
    return FINAL if fold is None else f"fold_{fold}"
