"""The table of what a run noted of its epochs."""

from __future__ import annotations

import math

import pandas as pd

from betti.models import TrainingMetrics
from betti.stages.train import _learning

NAN = math.nan


def metrics(**history: list[float]) -> TrainingMetrics:
    return TrainingMetrics(0.5, 0.6, 0.7, 0.7, 0.7, 0.7, 2, 1.0, False, 1, history)


def test_what_a_model_notes_of_each_epoch_stands_beside_its_losses() -> None:
    shared = {"train_loss": [0.9, 0.8], "learning_rate": [0.1, 0.05]}
    found = _learning(
        (0, 1),
        {
            "fold_0": metrics(**shared, val_loss=[1.0, 0.9], share_a=[0.7, 0.6], once=[1.0]),
            "fold_1": metrics(**shared, val_loss=[1.0, 0.7], share_a=[0.5, 0.4], val_score=[3.0, 2.0]),
            "final": metrics(**shared, val_loss=[], share_a=[0.3, 0.2]),
        },
    )
    wanted = {
        "fold": [0, 0, 1, 1, -1, -1],
        "epoch": [1, 2] * 3,
        "train_loss": [0.9, 0.8] * 3,
        "valid_loss": [1.0, 0.9, 1.0, 0.7, NAN, NAN],
        "share_a": [0.7, 0.6, 0.5, 0.4, 0.3, 0.2],
        "val_score": [NAN, NAN, 3.0, 2.0, NAN, NAN],
    }
    pd.testing.assert_frame_equal(found, pd.DataFrame(wanted))


def test_a_model_without_epochs_has_one_row_and_no_further_columns() -> None:
    found = _learning((0,), {"fold_0": metrics(members=[1.0]), "final": metrics()})
    pd.testing.assert_frame_equal(
        found, pd.DataFrame({"fold": [0, -1], "epoch": [1, 1], "train_loss": [0.5] * 2, "valid_loss": [0.6] * 2})
    )
