from __future__ import annotations

import math

from betti.metrics.overfitting import train_test_gaps
from betti.models import TrainingMetrics
from betti.training.manifest import FitFacts
from tests.unit.charts import samples


def fit(accuracy: float, loss: float) -> FitFacts:
    nan = math.nan
    return FitFacts.of(TrainingMetrics(loss, nan, accuracy, nan, 0.5, nan, 3, 1.0, False, None))


def test_the_gap_is_positive_where_test_rows_are_worse() -> None:
    scores = samples.scores()
    fits = {"fold_0": fit(0.9, 0.3), "fold_1": fit(scores.accuracy, scores.log_loss), "final": fit(1.0, 0.0)}
    found = train_test_gaps(fits, {"fold_0": scores, "fold_1": scores, "fold_2": scores})
    assert list(found) == ["fold_0", "fold_1"]
    assert math.isclose(found["fold_0"].accuracy, 0.9 - scores.accuracy)
    assert math.isclose(found["fold_0"].log_loss, scores.log_loss - 0.3)
    assert (found["fold_1"].accuracy, found["fold_1"].log_loss) == (0.0, 0.0)


def test_a_fit_that_does_not_say_has_no_gap() -> None:
    assert train_test_gaps({"fold_0": fit(math.nan, 0.3)}, {"fold_0": samples.scores()}) == {}
