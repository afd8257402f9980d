"""Drift beside scipy's test, the report's index and its own null distribution."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from betti.charts.drift import psi
from betti.expectations.drift import COLUMNS, POINTS, Drifted, drift, profile, refuse
from betti.records import Profile


def table(seed: int, rows: int = 2000, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "timestamp": pd.date_range("2020-01-01", periods=rows, freq="1h", tz="UTC"),
            "symbol": "AAA",
            "smooth": (rng.normal(size=rows) + shift).astype("float32"),
            "counts": rng.poisson(2.0 + shift, rows).astype("float32"),
            "often_zero": np.where(rng.random(rows) < 0.6, 0.0, rng.normal(size=rows) + shift),
            "constant": 1.0,
        }
    )


def compared(before: pd.DataFrame, now: pd.DataFrame, **knobs) -> pd.DataFrame:
    return drift(profile("features", before), now, **knobs).set_index("column")


@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0])
def test_the_measures_are_the_reports_index_and_scipys_distance(shift):
    before, now = table(0), table(1, 1500, shift)
    found = compared(before, now)
    for name in ("smooth", "counts", "often_zero", "constant"):
        first, second = (one[name].to_numpy(dtype="float64") for one in (before, now))
        exact = ks_2samp(first, second, method="asymp")
        assert found.loc[name, "psi"] == pytest.approx(psi(first, second), abs=1e-12)
        assert exact.statistic - 1 / POINTS <= found.loc[name, "ks"] <= exact.statistic + 1e-12
    exact = ks_2samp(before["counts"], now["counts"], method="asymp")
    assert found.loc["counts", "ks"] == pytest.approx(exact.statistic, abs=1e-12), "all of its values are kept"
    assert found.loc["counts", "p"] == pytest.approx(exact.pvalue, rel=0.1, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=20, max_size=200))
def test_a_table_has_not_drifted_from_itself(values):
    one = pd.DataFrame({"column": values})
    found = drift(profile("t", one), one).iloc[0]
    assert (found["psi"], found["ks"], found["p"], found["level"]) == (0, 0, 1, "")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-100, 100))
def test_units_do_not_matter(seed, scale, offset):
    before, now = table(seed, 300), table(seed + 1, 300, 0.3)
    first = compared(before[["smooth"]], now[["smooth"]])
    # Powers of two keep the order of floats exactly.
    factor = 2.0 ** np.round(np.log2(scale))
    second = compared(before[["smooth"]] * factor, now[["smooth"]] * factor)
    pd.testing.assert_frame_equal(first, second)


def test_a_profile_survives_its_file(tmp_path):
    kept = profile("features", table(0))
    file = tmp_path / "profile.json"
    file.write_text(kept.model_dump_json(), encoding="utf-8")
    assert Profile.model_validate_json(file.read_bytes()) == kept
    assert len(kept.model_dump_json()) < 40_000


def test_chance_alone_speaks_of_no_column_more_often_than_stated():
    rng = np.random.default_rng(0)
    before = pd.DataFrame(rng.normal(size=(300, 20))).add_prefix("f")
    kept = profile("features", before)
    alarms = beyond = 0
    for _ in range(60):
        # New rows of which each is repeated ten times: overlapping windows.
        now = pd.DataFrame(np.repeat(rng.normal(size=(30, 20)), 10, axis=0)).add_prefix("f")
        alarms += (drift(kept, now, memory=10)["level"] != "").any()
        beyond += (drift(kept, now)["level"] != "").any()
    assert alarms <= 6, "five in a hundred are three in sixty"
    assert beyond > 50, "without `memory` the same rows raise alarms nearly always"


def test_a_large_index_of_few_rows_is_chance():
    found = compared(table(0), table(1, 40))
    assert found.loc["smooth", "psi"] > 0.1
    assert (found["level"] == "").all()
    assert (compared(table(0), table(1, 40, shift=1.0)).loc[["smooth", "counts"], "level"] == "warn").all()


def test_what_moved_is_warned_of_and_stops_by_the_knobs():
    before, now = table(0), table(1, shift=1.0)
    warned = compared(before, now)
    assert warned.loc["smooth", "level"] == "warn"
    assert warned.loc["constant", "level"] == ""
    refuse(warned.reset_index(), "features")
    for knob in ({"psi_stop": 0.25}, {"ks_stop": 0.3, "ks_warn": None}):
        stopped = compared(before, now, **knob)
        assert stopped.loc["smooth", "level"] == "stop"
        assert next(iter(knob)).split("_")[0] in stopped.loc["smooth", "finding"]
        with pytest.raises(Drifted, match=r"features: .*smooth"):
            refuse(stopped.reset_index(), "features")


def test_knobs_that_are_not_reached_say_nothing():
    found = compared(table(0), table(1, shift=1.0), psi_warn=1e6, ks_warn=None)
    assert (found["level"] == "").all()


def test_columns_that_come_go_or_fall_silent_are_named():
    before = table(0)
    now = before.drop(columns="counts").assign(fresh=1.0, smooth=np.nan)
    found = compared(before, now)
    assert tuple(found.reset_index().columns) == COLUMNS
    assert found.loc["counts", "finding"] == "the column is gone"
    assert found.loc["fresh", "finding"] == "the column is new"
    assert found.loc["smooth", "finding"] == "the column has no value any more"
    assert found.loc[["counts", "fresh", "smooth"], "level"].tolist() == ["warn"] * 3
    assert found.loc["smooth", ["missing_before", "missing"]].tolist() == [0, 2000]


def test_missing_and_infinite_values_are_counted_and_left_out():
    before, now = table(0), table(1)
    clean = compared(before, now)
    now = pd.concat([now, now.iloc[:100].assign(smooth=np.nan), now.iloc[:50].assign(smooth=np.inf)])
    found = compared(before, now)
    assert found.loc["smooth", "missing"] == 150
    assert found.loc["smooth", "psi"] == clean.loc["smooth", "psi"]


def test_holm_is_never_below_the_p_value_nor_above_bonferroni():
    found = compared(table(0), table(1, shift=0.05)).dropna(subset=["p"])
    assert (found["p_holm"] >= found["p"]).all()
    assert (found["p_holm"] <= np.minimum(1, len(found) * found["p"])).all()
    assert found["p_holm"].min() == pytest.approx(min(1, len(found) * found["p"].min()))


def test_an_empty_table_can_be_kept_and_compared():
    nothing = table(0).iloc[:0]
    found = compared(nothing, table(1))
    assert found["psi"].isna().all()
    assert (found["level"] == "").all()
    assert (compared(table(1), nothing).loc[:, "finding"] == "the column has no value any more").all()
