"""Refuse what is wrong before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti import binding, catalog, params

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["check"]


def check(root: Path, stages: Iterable[str]) -> None:
    """Refuse unknown parts and knobs, and values out of range, of all these stages at once.

    Raises:
        BadInput: the first thing that is wrong.
    """
    known = params.load(root)
    for name in sorted(stages):
        stage, _, item = name.partition("@")
        binding.check(known, catalog.stage(stage), item or None, root)
