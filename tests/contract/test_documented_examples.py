"""The examples of docs/add-a-feature.md and docs/add-a-target.md work, word for word, and keep the laws.

Those of docs/add-a-model.md are under every contract test of models (`_models.py`).
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from betti import causality, features, knobs, probes
from tests.conftest import random_bars
from tests.documented import module


@pytest.fixture(scope="module")
def family() -> features.FeatureFamily:
    return features.of_module("drawdown", module("add-a-feature.md", "drawdown"))


@pytest.fixture(scope="module")
def target() -> ModuleType:
    return module("add-a-target.md", "higher")


def test_the_family_computes_what_it_says(family):
    table = family.compute(random_bars(300))
    assert list(table.columns) == ["timestamp", "symbol", "drawdown__depth", "drawdown__age"]
    close = random_bars(300)["close"]
    depth = close / close.rolling(60).max() - 1
    np.testing.assert_allclose(table["drawdown__depth"], depth.astype("float32"), rtol=1e-6, atol=1e-7)
    assert table["drawdown__age"].dropna().between(0, 1).all()


def test_the_family_neither_reads_the_future_nor_more_history_than_it_declares(family):
    bars = probes.walk(200)
    assert not causality.lookahead(family, bars, knobs={"window": 20}, times=20).leaks
    found = causality.memory(family, bars, knobs={"window": 20})
    assert not found.short
    assert not found.inexact


def test_the_target_looks_at_its_span_and_no_further(target):
    bars = random_bars(200)
    values = knobs.checked(target.label, {"horizon": 10}, "targets.higher_10")
    labels = target.label(bars, **values)
    assert len(labels) == 190
    assert set(labels["higher"].unique()) == {0.0, 1.0} == {float(number) for number in range(target.CLASSES)}
    row = labels.iloc[100]
    after = bars["timestamp"] > row["span_end"]
    assert (
        target.label(bars.assign(close=bars["close"].where(~after, 1e6)), **values)["higher"].iloc[100] == row["higher"]
    )
    at = bars["timestamp"] == row["span_end"]
    moved = bars.assign(close=bars["close"].where(~at, 1e6 if row["higher"] == 0 else 1e-6))
    assert target.label(moved, **values)["higher"].iloc[100] != row["higher"]


def test_the_target_s_reach_is_honest(target):
    bars, horizon = random_bars(400), 10
    back, ahead = target.reach(horizon=horizon)
    whole = target.label(bars, horizon=horizon)
    part = target.label(bars.iloc[200 - back : 201 + ahead].reset_index(drop=True), horizon=horizon)
    at = bars["timestamp"].iloc[200]
    pd.testing.assert_frame_equal(
        whole[whole["timestamp"] == at].reset_index(drop=True), part[part["timestamp"] == at].reset_index(drop=True)
    )
