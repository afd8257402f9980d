"""Drift of features beside their own history: what moved is told, ordinary clustering is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from betti import features, sources
from betti.expectations import _since as module
from betti.expectations._since import COLUMNS, since
from betti.expectations.drift import drift, profile
from betti.expectations.moves import Limits

LIMITS = Limits(psi_warn=0.25, psi_stop=None, ks_warn=0.2, ks_stop=None)


def table(
    accepted: int, new: int, freq: str = "1D", symbols: int = 1, columns: int = 8, memory: int = 1, seed: int = 0
):
    """Standard normal columns, averages over `memory` bars; the time of the last accepted bar."""
    rng = np.random.default_rng(seed)
    rows = accepted + new
    times = pd.date_range("1980-01-01", periods=rows, freq=freq, tz="UTC").as_unit("us")
    parts = []
    for symbol in range(symbols):
        noise = np.cumsum(rng.normal(size=(rows + memory, columns)), axis=0)
        values = (noise[memory:] - noise[:-memory]) / np.sqrt(memory)
        part = pd.DataFrame(values.astype("float32"), columns=[f"f{i}" for i in range(columns)])
        parts.append(pd.concat([pd.DataFrame({"timestamp": times, "symbol": f"S{symbol}"}), part], axis=1))
    return pd.concat(parts, ignore_index=True), times[accepted - 1]


def moved(bars: pd.DataFrame, after: pd.Timestamp, shift: float) -> pd.DataFrame:
    later = bars["timestamp"] > after
    return bars.assign(**{name: bars[name].mask(later, bars[name] + shift) for name in bars.columns[2:]})


def told(bars: pd.DataFrame, accepted: pd.Timestamp) -> float:
    found = since(bars, accepted, LIMITS)
    assert found is not None
    assert tuple(found.columns) == COLUMNS
    return float((found["level"] != "").mean())


MONTH = {"accepted": 70_000, "new": 2880, "freq": "15min"}
YEAR = {"accepted": 4_500, "new": 252, "symbols": 2}


@pytest.mark.parametrize(
    ("shape", "shift"),
    [
        (MONTH, 1.0),
        (MONTH | {"memory": 20}, 1.0),
        (MONTH | {"memory": 263}, 1e6),
        (YEAR, 1.0),
        (YEAR | {"memory": 60}, 1e6),
        ({"accepted": 10_000, "new": 2_000, "symbols": 2, "memory": 263}, 1e6),
    ],
)
def test_what_moved_is_told_in_every_column(shape, shift):
    bars, accepted = table(**shape)
    assert told(moved(bars, accepted, shift), accepted) == 1.0


@pytest.mark.parametrize("shape", [MONTH | {"columns": 40}, YEAR | {"columns": 40}])
@pytest.mark.parametrize("memory", [1, 20, 263])
def test_what_did_not_move_is_told_of_one_column_in_twenty_at_most(shape, memory):
    shares = [told(*table(**shape, memory=memory, seed=seed)) for seed in range(2)]
    assert np.mean(shares) <= 0.05


def test_night_after_night_what_was_told_once_is_accepted():
    bars, start = table(3000, 120)
    bars = moved(bars, start, 3.0)
    times = bars["timestamp"].tolist()
    levels = []
    for night in range(1, 121):
        known = bars[bars["timestamp"] <= times[2999 + night]]
        found = since(known, times[2998 + night], LIMITS)
        levels.append(int((found["level"] != "").sum()))
    first = next(night for night, count in enumerate(levels) if count)
    assert first < 60, "told before the window has filled"
    assert sum(levels) == pytest.approx(8, abs=4), "eight columns, each once, and few by chance"


def test_limits_warn_stop_or_say_nothing():
    bars, accepted = table(3000, 100)
    bars = moved(bars, accepted, 3.0)
    assert set(since(bars, accepted, replace(LIMITS, psi_stop=2.0))["level"]) == {"stop"}
    assert set(since(bars, accepted, replace(LIMITS, ks_stop=0.5))["level"]) == {"stop"}
    assert set(since(bars, accepted, replace(LIMITS, psi_warn=1e6, ks_warn=None))["level"]) == {""}


def test_nothing_is_said_without_new_bars_or_enough_old_ones():
    bars, accepted = table(1500, 60)
    assert since(bars, bars["timestamp"].iloc[-1], LIMITS) is None
    assert since(bars, accepted, LIMITS) is not None
    assert since(bars, bars["timestamp"].iloc[1000], LIMITS) is None


def test_missing_values_say_nothing():
    bars, accepted = table(3000, 100)
    bars["f0"] = np.nan
    bars.loc[:2950, "f1"] = np.nan
    bars.loc[2990:, "f2"] = np.inf
    found = since(moved(bars, accepted, 3.0), accepted, LIMITS).set_index("column")
    assert found.loc[["f0", "f1", "f2"], ["psi", "ks"]].isna().all(axis=None)
    assert (found["level"] == ["", "", "", *["warn"] * 5]).all()


@pytest.mark.parametrize("decimals", [0, 3])
def test_the_measures_are_those_of_drift(decimals):
    bars, accepted = table(3000, 75)
    bars.iloc[:, 2:] = bars.iloc[:, 2:].round(decimals)
    found = since(bars, accepted, LIMITS)
    earlier, now = bars[bars["timestamp"] <= accepted], bars[bars["timestamp"] > accepted]
    kept = profile("history", earlier)
    slow = drift(kept, now)
    stretches = [drift(kept, earlier.iloc[end - 75 : end]) for end in range(3000, 0, -75)]
    for name in ("psi", "ks"):
        np.testing.assert_allclose(found[name], slow[name], atol=1e-12)
        np.testing.assert_allclose(
            found[f"{name}_before"], np.max([one[name] for one in stretches], axis=0), atol=1e-12
        )


def test_a_long_history_is_thinned_and_tells_the_same(monkeypatch):
    bars, accepted = table(**MONTH)
    bars = moved(bars, accepted, 0.3)
    whole = since(bars, accepted, LIMITS)
    monkeypatch.setattr(module, "ROWS", 20_000)
    monkeypatch.setattr(module, "KEPT", 800)
    thin = since(bars, accepted, LIMITS)
    np.testing.assert_allclose(thin["ks"], whole["ks"], atol=0.05)


STATED = 0.05  # of the columns: told of ordinary history, over all dates
OF_A_CRASH = 0.3  # of the columns: told at the worst of them


def test_the_sample_walked_through_tells_few_columns():
    """Twenty dates from 2008 on, crashes among them, with half a year of new bars each."""
    bars = sources.fetch("sample", ("SP500", "NASDAQ"), "1d", pd.Timestamp("2018-12-31", tz="UTC"), {})
    found = features.compute("technical", bars)
    shares = []
    for accepted in pd.date_range("2008-06-30", periods=20, freq="182D", tz="UTC"):
        known = found[found["timestamp"] <= accepted + pd.Timedelta("182D")]
        shares.append(told(known, accepted))
    assert np.mean(shares) <= STATED
    assert np.max(shares) <= OF_A_CRASH, "the half-year of 2008 that no earlier one was like"
    assert np.median(shares) == 0
