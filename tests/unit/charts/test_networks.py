"""What the page says about networks: the span table, and each picture where its numbers are there and nowhere else."""

from __future__ import annotations

import base64
import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from plotly.io import from_json

from betti.charts import embeddings, loss_shares, modulation, regimes
from betti.charts.networks import Surroundings, pictures, span_table
from betti.charts.run_section import RunTables, run_body
from betti.records import SpanMetrics, SpanScore, SpanSettings
from tests.unit.charts import samples

CLEAN = samples.bars(400)
LABELS = samples.labels(CLEAN, 3)
FOLDS = samples.folds(LABELS, 2)
PREDICTIONS = samples.predictions(LABELS, FOLDS, 3)
METRICS = samples.metrics("a-run")
LAYERS = ("nbeats", "tda", "shared")


def drawn(learning: pd.DataFrame, predictions: pd.DataFrame, **around: object) -> str:
    return pictures(METRICS, learning, predictions, Surroundings(CLEAN, **around), 300)


def complexity(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = {f"complexity__{name}": rng.normal(size=len(CLEAN)).astype("float32") for name in modulation.INDICATORS}
    return CLEAN[["timestamp", "symbol"]].assign(**values, complexity__hurst_exponent=0.5)


def learning(**columns: float) -> pd.DataFrame:
    return samples.learning(2).assign(**columns)


def figures(page: str) -> dict[str, go.Figure]:
    """Every picture of the page by its id."""
    found = re.findall(r'<script type="application/json" id="([^"]+)-data">(.*?)</script>', page, flags=re.S)
    return {name: from_json(text) for name, text in found}


def numbers(value: object) -> np.ndarray:
    """An array of a picture, as the page holds it: base64 of its bytes."""
    if isinstance(value, dict):
        return np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"])
    return np.asarray(value, dtype=float)


def score(rows: int, hits: float | None) -> SpanScore:
    return SpanScore(
        rows=rows, hits=hits, countdown_hits=0.25, countdown_mae=4.5, centre_mae=0.031, length_mae=None, span_iou=0.6,
        span_f1=0.7, mask_iou=0.61, mask_f1=0.71, type_recall=(0.5, None, 0.125), type_macro_f1=0.44,
    )  # fmt: skip


def test_the_span_table_keeps_detection_and_anticipation_apart() -> None:
    pooled = SpanSettings(detection=score(31, 0.625), anticipation=score(8, None))
    fold = SpanSettings(detection=score(12, 0.75), anticipation=score(3, None))
    said = span_table(METRICS.model_copy(update={"span": SpanMetrics(pooled=pooled, folds={"fold_0": fold})}))
    rows = {cells[0]: cells[1:] for cells in (re.findall(r"<td>(.*?)</td>", row) for row in said.split("<tr>")[2:])}
    assert list(rows) == ["detection, fold 0", "detection, all", "anticipation, fold 0", "anticipation, all"]
    assert rows["detection, all"][:4] == ["31", "62.5 %", "25.0 %", "4.5"]
    assert rows["anticipation, all"][:2] == ["8", "n/a"]
    assert rows["detection, fold 0"][10:] == ["50.0 %", "n/a", "12.5 %", "0.440"]
    assert len(re.findall("<th ", said)) == len(rows["detection, all"]) + 1


def test_a_run_without_such_numbers_has_no_such_pictures() -> None:
    assert drawn(samples.learning(2), PREDICTIONS, indicators=modulation.indicators(complexity())) == ""
    assert span_table(METRICS) == ""
    nothing = samples.no_learning()
    assert drawn(nothing, nothing[:0]) == ""
    tables = RunTables(nothing, nothing, nothing[:0], nothing[:0])
    plain = run_body(METRICS, tables, 100)
    assert plain == run_body(METRICS, tables, 100, Surroundings(CLEAN))


# Modulation ---------------------------------------------------------------------------------------------------------


def modulated() -> pd.DataFrame:
    """Gamma of one layer follows the first indicator, that of the others is 1."""
    table = PREDICTIONS.merge(complexity(), on=["timestamp", "symbol"])
    # The first fold's network is another one, which must not be mixed in.
    gamma = 1 + 0.1 * table[f"complexity__{modulation.INDICATORS[0]}"] - 5 * (table["fold"] == 0)
    return PREDICTIONS.assign(output_gamma_nbeats=gamma.to_numpy(), output_gamma_tda=1.0, output_gamma_shared=1.0)


def test_gamma_is_drawn_against_the_indicator_that_it_follows() -> None:
    found = figures(drawn(samples.learning(2), modulated(), indicators=modulation.indicators(complexity())))
    (figure,) = found.values()
    assert list(found) == ["fig-runs-a-run-gamma"]
    lines = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert len(lines) == 6 * 3 and [line.name for line in lines[:3]] == ["bars", "topology", "shared"]
    x, y = (numbers(lines[0][axis]) for axis in ("x", "y"))
    assert len(x) == modulation.BINS and (np.diff(x) > 0).all()
    np.testing.assert_allclose(y, 1 + 0.1 * x, atol=0.04)  # means over bins, at their medians
    assert np.ptp(numbers(lines[3].y)) < 0.1 < np.ptp(y), "another indicator says little of it"
    assert set(numbers(lines[1].y)) == {1.0}


def test_without_the_family_gamma_is_not_drawn() -> None:
    assert drawn(samples.learning(2), modulated()) == ""
    assert list(modulation.indicators(complexity()).columns) == ["timestamp", "symbol", *modulation.INDICATORS]


def test_gamma_and_beta_are_drawn_through_the_epochs() -> None:
    noted = {f"{one}_{kind}_{layer}": 0.1 for one in ("gamma", "beta") for kind in ("mean", "std") for layer in LAYERS}
    table = learning(**noted)
    table["gamma_mean_tda"] = 1 + table["epoch"] / 100
    (figure,) = figures(drawn(table, PREDICTIONS)).values()
    lines = [trace for trace in figure.data if trace.name]
    assert len(lines) == 3 * 2 * 3, "two folds and the final model, gamma and beta, three layers"
    own = [line for line in lines if line.name == "fold 1"][1]
    np.testing.assert_allclose(numbers(own.y), table.loc[table["fold"] == 1, "gamma_mean_tda"])
    assert modulation.noted(table.drop(columns="beta_std_tda")) == ["nbeats", "shared"]


# Shares, embeddings, regimes ----------------------------------------------------------------------------------------


def test_shares_of_losses_are_means_over_the_models_with_their_range() -> None:
    table = learning(share_pointers=0.7, share_type=0.3)
    table.loc[table["fold"] == 0, "share_pointers"] = 0.4
    found = figures(drawn(table, PREDICTIONS))["fig-runs-a-run-shares"]
    line = next(trace for trace in found.data if trace.name == "pointers")
    np.testing.assert_allclose(numbers(line.y), 0.6, rtol=1e-6)
    band = numbers(found.data[0].y)
    assert (band.min(), band.max()) == (pytest.approx(0.4), pytest.approx(0.7))
    assert [(one.y0, one.y1) for one in found.layout.shapes] == [loss_shares.WANTED]
    other = loss_shares.curves(learning(share_type=1.0))
    assert not other.layout.shapes, "no pointers, no mark"


def test_embeddings_of_the_last_fold_alone_are_drawn_by_class() -> None:
    places = PREDICTIONS.assign(
        output_embedding_1=PREDICTIONS["label"], output_embedding_2=PREDICTIONS["fold"].astype(float)
    )
    figure, fold = embeddings.scatter(places, 10_000)
    assert fold == 1 == PREDICTIONS["fold"].max()
    assert [trace.name for trace in figure.data] == ["class 0", "class 1", "class 2"]
    for label, trace in enumerate(figure.data):
        assert set(trace.x) == {label} and set(trace.y) == {1.0}
    assert sum(len(trace.x) for trace in figure.data) == (PREDICTIONS["fold"] == 1).sum()
    assert sum(len(trace.x) for trace in embeddings.scatter(places, 50)[0].data) <= 50
    assert list(figures(drawn(samples.learning(2), places))) == ["fig-runs-a-run-embeddings"]


def test_regimes_add_up_through_time() -> None:
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(8), len(PREDICTIONS))
    named = {f"output_regime_{name}": chances[:, number] for number, name in enumerate(regimes.COLOURS)}
    table = PREDICTIONS.assign(**named)
    figure = regimes.areas(table.sample(frac=1, random_state=1)).figure
    symbols = table["symbol"].nunique()
    np.testing.assert_allclose(np.sum([trace.y for trace in figure.data], axis=0), symbols, rtol=1e-5)
    assert len({trace.fillcolor for trace in figure.data}) == 8
    first = figure.data[0].x
    assert list(first) == sorted(first)
    assert list(figures(drawn(samples.learning(2), table))) == ["fig-runs-a-run-regimes"]
