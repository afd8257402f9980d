"""What the page says about one run besides its scores: columns that were dropped, and warnings."""

from __future__ import annotations

from betti.charts.run_section import run_body
from betti.records import RunWarning
from tests.unit.charts import samples


def body(**changed: object) -> str:
    metrics = samples.metrics("direction_5-logistic").model_copy(update=changed)
    nothing = samples.no_learning()
    return run_body(metrics, nothing, nothing[:0], nothing[:0], 100)


def test_warnings_are_shown_and_escaped() -> None:
    warning = RunWarning(kind="few_samples", message="fold_0 has 900 train rows & <few>", found=9.0, limit=20.0)
    assert "Warning: fold_0 has 900 train rows &amp; &lt;few&gt;." in body(warnings=[warning])
    assert "Warning" not in body()


def test_how_many_columns_were_dropped() -> None:
    assert "Pruning dropped 30 to 34 of them" in body(columns_dropped={"fold_0": 34, "fold_1": 30, "final": 31})
    assert "Pruning dropped 7 of them" in body(columns_dropped={"fold_0": 7, "final": 7})
    assert "Pruning" not in body()
