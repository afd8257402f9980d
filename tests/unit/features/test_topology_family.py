"""The topology family: its 214 columns, its windows, and the strides that belong to time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti import features
from betti.errors import BadParam, UnknownName
from betti.features import topology
from betti.topology import persistence
from tests.conftest import random_bars

SMALL = {"window": 40, "delay": 2, "bins": 20}
BARS = random_bars(160, 21)


def strided(bars: pd.DataFrame, stride: int) -> pd.DataFrame:
    return topology.compute(bars, **SMALL, stride=stride)


def test_there_are_214_columns() -> None:
    assert len(topology.COLUMNS) == 214
    assert topology.COLUMNS[0] == "betti0_000"
    assert topology.COLUMNS[199] == "betti1_099"
    assert topology.COLUMNS[200:204] == ("entropy_h0", "entropy_h1", "total_h0", "total_h1")
    assert topology.COLUMNS[204:] == tuple(f"landscape_h{h}_{k}" for h in (0, 1) for k in range(1, 6))
    assert "topology__betti1_042" in features.families()["topology"].columns


def test_a_row_is_its_own_window() -> None:
    row = topology.compute(BARS, **SMALL).iloc[100]
    closes = BARS["close"].to_numpy()[61:101]
    standard = (closes - closes.mean()) / closes.std()
    components, holes = persistence(np.column_stack([standard[:-2], standard[2:]]))
    lengths = components[:, 1] - components[:, 0]
    shares = lengths / lengths.sum()
    grid = np.linspace(0, 2, 20)
    np.testing.assert_allclose(row["total_h0"], lengths.sum(), rtol=1e-6)
    np.testing.assert_allclose(row["total_h1"], (holes[:, 1] - holes[:, 0]).sum(), rtol=1e-5)
    np.testing.assert_allclose(row["entropy_h0"], -(shares * np.log2(shares)).sum(), rtol=1e-6)
    alive = [((holes[:, 0] <= x) & (x < holes[:, 1])).sum() for x in grid]
    assert row[[f"betti1_{i:03d}" for i in range(20)]].tolist() == alive


def test_defaults_give_finite_rows_after_the_look_back() -> None:
    table = topology.compute(BARS.iloc[:130])
    assert topology.lookback() == 125
    assert table.iloc[:125].isna().all(axis=None)
    assert np.isfinite(table.iloc[125:].to_numpy()).all()
    assert (table.loc[125:, "betti0_000"] == 120).all()


def test_a_constant_window_is_all_zeros() -> None:
    table = topology.compute(BARS.assign(close=0.1), **SMALL)
    assert not table.iloc[39:].to_numpy().any()


@pytest.mark.parametrize("knobs", [{"window": 20, "delay": 20}, {"window": 20, "delay": 10, "dimension": 3}])
def test_a_window_too_short_for_its_embedding_is_refused(knobs: dict[str, int]) -> None:
    for function in (topology.lookback, lambda **k: topology.compute(BARS, **k)):
        with pytest.raises(BadParam, match="delay"):
            function(**knobs)


def test_the_shortest_embedding_has_one_point() -> None:
    table = topology.compute(BARS, window=20, delay=19, bins=4)
    assert not table.iloc[19:].to_numpy().any()


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(UnknownName, match="giotto"):
        features.compute("topology", BARS, **SMALL, backend="gioto")


# --- strides


def test_strided_rows_carry_the_window_that_ended_age_bars_ago() -> None:
    every, some = topology.compute(BARS, **SMALL), strided(BARS, 4)
    back = topology.lookback(**SMALL, stride=4)
    assert list(some.columns) == [*every.columns, "age"]
    ages = some["age"].to_numpy()[back:].astype(int)
    assert set(ages) == {0, 1, 2, 3}
    rows = np.arange(back, len(BARS))
    np.testing.assert_array_equal(some.iloc[back:, :-1].to_numpy(), every.iloc[rows - ages].to_numpy())


@pytest.mark.parametrize("start", [1, 2, 3, 5, 31])
def test_windows_end_at_times_not_at_row_numbers(start: int) -> None:
    back = topology.lookback(**SMALL, stride=4)
    whole, part = strided(BARS, 4), strided(BARS.iloc[start:], 4)
    assert part.iloc[back:].to_numpy().tobytes() == whole.iloc[start + back :].to_numpy().tobytes()


def irregular(rows: int, seed: int) -> pd.DataFrame:
    """Bars with gaps of a night or a week among bursts of many bars in one bucket."""
    rng = np.random.default_rng(seed)
    minutes = np.cumsum(rng.choice([1, 15, 15, 15, 600, 10_000], rows))
    return random_bars(rows, seed).assign(
        timestamp=pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(minutes, unit="min").as_unit("us")
    )


@pytest.mark.parametrize("seed", range(3))
def test_irregular_bars_stay_within_the_look_back(seed: int) -> None:
    bars = irregular(160, seed)
    back = topology.lookback(**SMALL, stride=3)
    whole = strided(bars, 3)
    assert whole["age"].iloc[back:].between(0, 5).all()
    for row in range(back, 160, 13):
        part = strided(bars.iloc[row - back : row + 1], 3)
        assert part.iloc[-1].to_numpy().tobytes() == whole.iloc[row].to_numpy().tobytes()


def test_bars_that_crowd_one_bucket_fall_back_to_their_own_window() -> None:
    """Sixty bars a second apart after a hundred a day apart: one bucket of two days holds them all."""
    days = pd.to_timedelta(np.arange(100), unit="D")
    seconds = days[-1] + pd.to_timedelta(np.arange(1, 61), unit="s")
    stamps = pd.Timestamp("2020-01-01", tz="UTC") + days.append(seconds).as_unit("us")
    table = strided(BARS.assign(timestamp=stamps), 2).iloc[topology.lookback(**SMALL, stride=2) :]
    assert table["age"].between(0, 3).all()
    assert (table["age"] == 0).sum() > 30
