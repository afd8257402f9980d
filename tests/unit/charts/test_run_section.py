"""What the page says about one run besides its scores: columns that were dropped, and warnings."""

from __future__ import annotations

from betti.charts.run_section import RunTables, run_body
from betti.records import Deviation, HeadScore, RunWarning, TrainTestGap
from tests.unit.charts import samples


def body(**changed: object) -> str:
    metrics = samples.metrics("direction_5-logistic").model_copy(update=changed)
    nothing = samples.no_learning()
    return run_body(metrics, RunTables(nothing, nothing, nothing[:0], nothing[:0]), 100)


def test_warnings_are_shown_and_escaped() -> None:
    warning = RunWarning(kind="few_samples", message="fold_0 has 900 train rows & <few>", found=9.0, limit=20.0)
    assert "Warning: fold_0 has 900 train rows &amp; &lt;few&gt;." in body(warnings=[warning])
    assert "Warning" not in body()


def test_how_many_columns_were_dropped() -> None:
    assert "Pruning dropped 30 to 34 of them" in body(columns_dropped={"fold_0": 34, "fold_1": 30, "final": 31})
    assert "Pruning dropped 7 of them" in body(columns_dropped={"fold_0": 7, "final": 7})
    assert "Pruning" not in body()


def test_heads_and_the_gap_to_the_train_rows_are_shown_where_there_are_any() -> None:
    one = Deviation(rows=40, mae=0.125, rmse=0.25, spearman=None)
    head = HeadScore(pooled=one, folds={"fold_0": one})
    gap = TrainTestGap(train_accuracy=0.75, train_loss=0.5, accuracy=0.3375, log_loss=0.59)
    page = body(heads={"max_pct": head}, gaps={"fold_0": gap})
    assert "max_pct, fold 0" in page and "max_pct, all" in page
    assert "0.125" in page and "0.338" in page
    assert "Other heads" not in body() and "Train rows against test rows" not in body()
