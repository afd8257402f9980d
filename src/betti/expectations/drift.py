"""Drift: how far a table's columns moved since the run that was last accepted.

`profile` keeps what must be known of a table, `drift` compares another one with it. Two measures per column:

* the population stability index, the sum over bins of (q - p) ln(q / p), with the bins at the deciles of before;
* the two-sample Kolmogorov-Smirnov distance, the largest difference of the two distribution functions.

Many columns are looked at, and neighbouring rows of a feature share most of their window. Both mislead: of 300 columns
that did not move, 15 fail a test at 5 %, and rows that are not independent make every p-value too small. So p-values
are adjusted for the number of columns (Holm 1979, valid under any dependence among them), `memory` says how many rows
are worth one, and a limit counts only where the adjusted p-value says that the column moved at all: with few rows the
index is large by chance (about 9 / n for ten bins). With `memory` = 1 on overlapping windows the p-values are too small
and mean little; the two measures keep their meaning. Drift is no fault by itself: prices trend, and models are
retrained for that reason.

What does not belong here: what is done about it, and the report's comparison of two halves (`betti.charts.drift`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from betti.errors import BadInput
from betti.records import ColumnProfile, Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["COLUMNS", "Drifted", "drift", "profile", "refuse"]

COLUMNS = (
    "column", "known_before", "known", "missing_before", "missing",
    "psi", "ks", "p", "p_holm", "level", "finding",
)  # fmt: skip
KEY = ("timestamp", "symbol")
POINTS = 200  # quantiles kept: the distance found is at most 1/200 below the true one
BINS = 10
LEAST = 20  # known values on either side; with fewer nothing is said
FLOOR = 1e-4  # share given to an empty bin, so that the logarithm exists


class Drifted(BadInput):
    """Columns moved further than the knobs allow."""

    def __init__(self, name: str, columns: Sequence[str], worst: str) -> None:
        self.name, self.columns = name, tuple(columns)
        super().__init__(
            f"{name}: {len(columns)} columns moved too far since the accepted run ({worst}). "
            "Look at their source first; if the market moved, `betti accept`, or raise the stop in validate.drift"
        )


def profile(name: str, table: pd.DataFrame) -> Profile:
    """The distributions of every column but `timestamp` and `symbol`.

    Args:
        name: what to call the table.
        table: numbers in every other column; missing and infinite values are counted and left out.
    """
    columns = [column for column in table.columns if column not in KEY]
    return Profile(name=name, columns=[_column(column, _numbers(table, column)) for column in columns])


def _numbers(table: pd.DataFrame, column: str) -> Floats:
    return table[column].to_numpy(dtype="float64", na_value=float("nan"))


def _column(name: str, values: Floats) -> ColumnProfile:
    known = np.sort(values[np.isfinite(values)])
    missing = len(values) - len(known)
    if not len(known):
        return ColumnProfile(
            column=name, rows=len(values), missing=missing, points=[], at_most=[], below=[], edges=[], shares=[]
        )
    points = np.unique(np.quantile(known, np.linspace(0, 1, POINTS + 1), method="lower"))
    edges = _edges(known)
    return ColumnProfile(
        column=name,
        rows=len(values),
        missing=missing,
        points=points.tolist(),
        at_most=_at_most(known, points).tolist(),
        below=_below(known, points).tolist(),
        edges=edges.tolist(),
        shares=_shares(known, edges).tolist(),
    )


def _edges(known: Floats) -> Floats:
    """Deciles as the upper ends of bins; a value that fills a decile or more is a bin of its own."""
    deciles, counts = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1), method="lower"), return_counts=True)
    atoms = deciles[counts > 1]
    edges: Floats = np.unique(np.concatenate([deciles[:-1], atoms, np.nextafter(atoms, -np.inf)]))
    return edges


def _at_most(known: Floats, points: Floats) -> Floats:
    shares: Floats = np.searchsorted(known, points, side="right") / len(known)
    return shares


def _below(known: Floats, points: Floats) -> Floats:
    shares: Floats = np.searchsorted(known, points, side="left") / len(known)
    return shares


def _shares(known: Floats, edges: Floats) -> Floats:
    """Share of the values in each bin, the open last one included."""
    return np.diff(np.concatenate([[0.0], _at_most(known, edges), [1.0]]))


def drift(
    before: Profile,
    table: pd.DataFrame,
    *,
    psi_warn: Annotated[float, Field(gt=0)] = 0.1,
    psi_stop: Annotated[float, Field(gt=0)] | None = None,
    ks_warn: Annotated[float, Field(gt=0, le=1)] | None = 0.15,
    ks_stop: Annotated[float, Field(gt=0, le=1)] | None = None,
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95,
    memory: Annotated[int, Field(ge=1)] = 1,
) -> pd.DataFrame:
    """How far each column moved, in the order of the profile, new columns last.

    Args:
        before: what `profile` kept of the accepted run's table.
        table: the same columns now.
        psi_warn: index from which a column is warned of; 0.1 and 0.25 are rules of thumb for moderate and large drift.
        psi_stop: index from which it stops the run; None never does.
        ks_warn: distance from which it is warned of, None for never.
        ks_stop: distance from which it stops the run, likewise.
        confidence: that none of the columns is spoken of by chance.
        memory: rows that are worth one independent row; a feature's look-back is a careful choice.

    Returns:
        A table of `COLUMNS`. `p` is the distance's asymptotic p-value, which errs on the large side for few rows and
        for repeated values; `p_holm` is adjusted for all columns. A limit counts only where `p_holm` is below
        1 - confidence. `level` is "stop", "warn" or empty, `finding` says why. A column that came, went or lost all its
        values is warned of. Measures are NaN where fewer than 20 values are known on either side.
    """
    now = [column for column in table.columns if column not in KEY]
    known = {one.column for one in before.columns}
    rows = [_compared(one, _numbers(table, one.column) if one.column in now else None) for one in before.columns]
    rows += [_newcomer(column, _numbers(table, column)) for column in now if column not in known]
    found = _tested(pd.DataFrame(rows, columns=[*COLUMNS[:7], "finding"]), memory)
    limits = {"psi": (psi_warn, psi_stop), "ks": (ks_warn, ks_stop)}
    moved = found["p_holm"] < 1 - confidence
    found["level"] = np.where(found["finding"] == "", "", "warn")
    for word, which in (("warn", 0), ("stop", 1)):
        for measure, limit in limits.items():
            least = limit[which]
            if least is not None:
                over = moved & (found[measure] >= least)
                found.loc[over, "level"] = word
                found.loc[over, "finding"] = f"{measure} is {least} or more"
    return found[list(COLUMNS)]


def refuse(found: pd.DataFrame, name: str) -> None:
    """Stop where a column's level says so.

    Raises:
        Drifted: how many columns, and which moved furthest.
    """
    stops = found[found["level"] == "stop"]
    if len(stops):
        worst = stops.sort_values("psi", ascending=False, kind="stable").iloc[0]
        words = f"{worst['column']}: {worst['finding']}, PSI {worst['psi']:.3g}, distance {worst['ks']:.3g}"
        raise Drifted(name, stops["column"].tolist(), words)


def _compared(before: ColumnProfile, values: Floats | None) -> tuple[object, ...]:
    """One row: what is known on either side, the index, the distance, and what became of the column."""
    known_before, nothing = before.rows - before.missing, float("nan")
    if values is None:
        return before.column, known_before, 0, before.missing, 0, nothing, nothing, "the column is gone"
    known = np.sort(values[np.isfinite(values)])
    facts = (before.column, known_before, len(known), before.missing, len(values) - len(known))
    if min(known_before, len(known)) < LEAST:
        lost = known_before >= LEAST and not len(known)
        return *facts, nothing, nothing, "the column has no value any more" if lost else ""
    p = np.maximum(before.shares, FLOOR)
    q = np.maximum(_shares(known, np.array(before.edges)), FLOOR)
    return *facts, float(np.sum((q - p) * np.log(q / p))), _distance(before, known), ""


def _newcomer(column: str, values: Floats) -> tuple[object, ...]:
    known, nothing = int(np.isfinite(values).sum()), float("nan")
    return column, 0, known, 0, len(values) - known, nothing, nothing, "the column is new"


def _distance(before: ColumnProfile, known: Floats) -> float:
    """Kolmogorov-Smirnov distance over the points kept, from above and from below each."""
    points = np.array(before.points)
    above = np.abs(_at_most(known, points) - np.array(before.at_most))
    under = np.abs(_below(known, points) - np.array(before.below))
    return float(max(above.max(), under.max()))


def _tested(found: pd.DataFrame, memory: int) -> pd.DataFrame:
    """With `p` and `p_holm` (Smirnov 1948)."""
    from scipy.stats import kstwobign

    rows, rows_before = (found[name].to_numpy(dtype="float64") / memory for name in ("known", "known_before"))
    effective = rows * rows_before / np.maximum(rows + rows_before, 1)
    p = kstwobign.sf(np.sqrt(effective) * found["ks"].to_numpy(dtype="float64"))
    return found.assign(p=p, p_holm=_holm(p))


def _holm(p: Floats) -> Floats:
    """Step-down adjustment of p-values (Holm 1979); NaN stays NaN and is no test.

    >>> _holm(np.array([0.01, 0.04, np.nan, 0.03])).round(6).tolist()
    [0.03, 0.06, nan, 0.06]
    """
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p, kind="stable")[: int(np.isfinite(p).sum())]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(order) else steps
    return adjusted
