"""Hold what a stage has written to the suite of its artifact (`betti.expectations`), and look for drift in features.

Bars are judged row by row inside `validate`; every other table has to pass as a whole. What does not belong here: the
expectations themselves, and what is done about a table that breaks one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from betti import binding, catalog, features, labelling
from betti import params as _params
from betti.errors import BettiError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from betti.params import Params
    from betti.records import ExpectationResult

__all__ = ["Found", "SuiteBroken", "check", "refuse"]

# Columns are constant by right in a market without volume, in one that does not move, and where no context is known.
TOLD_ALONE = ("constant_share",)
# What a day or a month holds is not what years hold, whatever the bars: these are no distributions to compare.
NOT_COMPARED = ("calendar", "context")


class SuiteBroken(BettiError):
    """A table that a stage wrote breaks an expectation: a fault of the part that computed it, not of the bars."""

    def __init__(self, found: Found, broken: list[ExpectationResult]) -> None:
        self.broken = broken
        told = "; ".join(
            f"{one.rule} ({one.column}: {one.unexpected} rows{', first ' + one.first if one.first else ''})"
            for one in broken
        )
        super().__init__(
            f"{found.name}: {len(broken)} expectations are not met: {told}. Mend the part that computes it. "
            "The table is not recorded, and the next run makes it anew"
        )


@dataclass(frozen=True)
class Found:
    """What a suite says of one table.

    Attributes:
        name: the artifact and its item, such as `features@technical`.
        rows: of the table.
        expectations: one record each.
        page: the data docs.
        drifted: of features, one row per column as `expectations._since.since` gives it, or None.
    """

    name: str
    rows: int
    expectations: list[ExpectationResult]
    page: str
    drifted: pd.DataFrame | None = None

    @property
    def moved(self) -> list[str]:
        """Columns that are distributed otherwise since the accepted run, the most first."""
        if self.drifted is None:
            return []
        warned = self.drifted[self.drifted["level"] != ""].sort_values("psi", ascending=False, kind="stable")
        return [str(column) for column in warned["column"]]


def check(root: Path, stage_name: str, item: str | None) -> Found | None:
    """What the suite of a stage's table finds in it; None for a stage whose outs have no suite.

    Args:
        root: the repository, with the stage's outs in place.
        stage_name: a stage.
        item: one of its items.
    """
    context = _CONTEXT.get(stage_name)
    if context is None:
        return None
    from betti.expectations import _engine as engine

    params = _params.load(root)
    artifact, given = context(root, str(item), params)
    table = binding.read(catalog.artifact(artifact), root, item)
    if table.empty:
        return None  # no bar was clean, or none has a whole future
    checked = engine.check(artifact, table, **given)
    compared = artifact == "features" and item not in NOT_COMPARED
    drifted = _drifted(table, root, params) if compared else None
    return Found(f"{artifact}@{item}", len(table), checked.expectations, checked.page, drifted)


def _drifted(table: pd.DataFrame, root: Path, params: Params) -> pd.DataFrame | None:
    """How features since the accepted bar are distributed, beside as long stretches before; None for too little of it.

    The limits are `validate.drift`'s. They are read here and not by the stage: a knob of what is told makes no feature
    stale, and counts when the next table is made.
    """
    import pandas as pd

    from betti.expectations._since import since
    from betti.expectations.moves import Limits

    accepted = _params.clock(root, "accepted")
    if accepted is None:
        return None
    return since(table, pd.Timestamp(accepted), Limits(**params.validation.drift.model_dump()))


def refuse(found: Found) -> None:
    """Stop where an expectation is not met, but for those that are told alone, or where features drifted too far.

    Raises:
        SuiteBroken: which, how many rows, and the first of them.
        Drifted: which feature moved furthest beyond a stop of `validate.drift`.
    """
    broken = [one for one in found.expectations if not one.success and one.column not in TOLD_ALONE]
    if broken:
        raise SuiteBroken(found, broken)
    if found.drifted is not None:
        from betti.expectations.drift import refuse as refuse_drift

        refuse_drift(found.drifted, found.name)


def _features(root: Path, item: str, params: Params) -> tuple[str, dict[str, Any]]:
    family = features.family(item)
    return "features", {"bars": _read("clean", root), "lookback": family.lookback(**(params.features[item] or {}))}


def _labels(root: Path, item: str, params: Params) -> tuple[str, dict[str, Any]]:
    module = labelling.FOLDER.load(params.targets[item].kind)
    return "labels", {"bars": _read("clean", root), "target": module.COLUMNS[0], "classes": module.CLASSES}


def _split(root: Path, item: str, _: Params) -> tuple[str, dict[str, Any]]:
    return "folds", {"labels": _read("labels", root, item)}


def _evaluate(root: Path, item: str, params: Params) -> tuple[str, dict[str, Any]]:
    target = params.runs[item].target
    classes = labelling.FOLDER.load(params.targets[target].kind).CLASSES
    return "predictions", {"folds": _read("folds", root, target), "classes": classes}


def _read(artifact: str, root: Path, item: str | None = None) -> pd.DataFrame:
    found: pd.DataFrame = binding.read(catalog.artifact(artifact), root, item)
    return found


# Which table of a stage is held to a suite, and what the suite has to know besides.
_CONTEXT = {"features": _features, "labels": _labels, "split": _split, "evaluate": _evaluate}
