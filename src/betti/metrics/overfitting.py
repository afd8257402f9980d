"""How much better a fold's model scores on the rows it learnt from than on those it never saw.

What does not belong here: the scores themselves (`classification.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.records import TrainTestGap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from betti.records import Classification
    from betti.training.manifest import FitFacts

__all__ = ["train_test_gaps"]


def train_test_gaps(fits: Mapping[str, FitFacts], folds: Mapping[str, Classification]) -> dict[str, TrainTestGap]:
    """The gap of every fold whose model said how it scores on its train rows.

    Train scores weigh rows by their sample weight, as the model learnt them; test scores count every row once.

    Args:
        fits: "fold_0" ... -> how its fit went.
        folds: "fold_0" ... -> its test scores.
    """
    found: dict[str, TrainTestGap] = {}
    for name, scores in folds.items():
        fit = fits.get(name)
        if fit is not None and fit.train_accuracy is not None and fit.train_loss is not None:
            found[name] = TrainTestGap(
                train_accuracy=fit.train_accuracy,
                train_loss=fit.train_loss,
                accuracy=fit.train_accuracy - scores.accuracy,
                log_loss=scores.log_loss - fit.train_loss,
            )
    return found
