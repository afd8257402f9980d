"""What a model says beside its classes: as columns of the predictions, and how far it lies from the labels.

An output of one number per row is the column `output_NAME`; where the labels have a numeric column NAME, it is scored
against that. What does not belong here: classes (`classification.py`), outputs of several numbers per row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.errors import BadModelInput
from betti.records import Deviation, HeadScore

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["PREFIX", "deviation", "head_scores", "output_columns"]

PREFIX = "output_"


def output_columns(model: str, outputs: Mapping[str, Floats], order: NDArray[np.int64]) -> dict[str, Floats]:
    """The outputs of one number per row, as columns of the predictions.

    Args:
        model: its name, for the error.
        outputs: name -> (n,) or (n, ...) numbers, NaN where the model does not say; the latter are left out.
        order: (k,) which of the n rows to take, in order.

    Raises:
        BadModelInput: an infinite value.

    >>> output_columns("film", {"max_pct": np.array([1.0, 2.0, 3.0]), "mask": np.ones((3, 9))}, np.array([2, 0]))
    {'output_max_pct': array([3., 1.])}
    """
    found = {
        PREFIX + name: np.asarray(values, dtype="float64")[order]
        for name, values in outputs.items()
        if np.ndim(values) == 1
    }
    for name, values in found.items():
        if np.isinf(values).any():
            raise BadModelInput(model, f"answered with infinite {name}", "Mend its `predict`: NaN where it cannot say")
    return found


def head_scores(rows: pd.DataFrame) -> dict[str, HeadScore]:
    """How far each output lies from the label column of its name.

    Args:
        rows: test rows with `fold`, label columns, and `output_NAME` columns.

    Returns:
        NAME -> its score, over all rows and by fold, for every output that has a label column; in the order of the
        outputs. Rows where either is NaN do not count, and a fold without any other has no score.
    """
    names = [str(column).removeprefix(PREFIX) for column in rows.columns if str(column).startswith(PREFIX)]
    fold = rows["fold"].to_numpy()
    found: dict[str, HeadScore] = {}
    for name in [name for name in names if name in rows]:
        said, truth = (rows[column].to_numpy(dtype="float64") for column in (PREFIX + name, name))
        known = np.isfinite(said) & np.isfinite(truth)
        if known.any():
            each = {number: known & (fold == number) for number in np.unique(fold[known])}
            found[name] = HeadScore(
                pooled=deviation(truth[known], said[known]),
                folds={f"fold_{number}": deviation(truth[at], said[at]) for number, at in each.items()},
            )
    return found


def deviation(truth: Floats, said: Floats) -> Deviation:
    """Mean absolute and root mean squared error of (n,) answers, in the label's unit, and Spearman's rank correlation.

    The correlation (Spearman 1904) is None where either side is constant: it is not defined there.

    >>> deviation(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 5.0]))
    Deviation(rows=3, mae=1.0, rmse=1.2909944487358056, spearman=0.8660254037844387)
    """
    import pandas as pd

    off = said - truth
    one, other = (pd.Series(values).rank().to_numpy(dtype="float64") for values in (truth, said))
    varies = np.ptp(one) > 0 and np.ptp(other) > 0
    return Deviation(
        rows=len(off),
        mae=float(np.abs(off).mean()),
        rmse=float(np.sqrt((off**2).mean())),
        spearman=float(np.corrcoef(one, other)[0, 1]) if varies else None,
    )
