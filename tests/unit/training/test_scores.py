from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from betti.training.scores import scores, softmax


def test_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y, probabilities = rng.integers(0, 3, 200), softmax(rng.normal(size=(200, 3)))
    weights = rng.uniform(0.1, 1, 200)
    found = scores(y, probabilities, weights)
    assert found.loss == pytest.approx(log_loss(y, probabilities, sample_weight=weights))
    assert found.f1 == pytest.approx(f1_score(y, probabilities.argmax(axis=1), average="macro"))
    assert found.accuracy == (probabilities.argmax(axis=1) == y).mean()
