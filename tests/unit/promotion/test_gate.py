"""The gate: who passes, who becomes champion, and what it says when nobody does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betti.promotion.gate import candidate, choose
from betti.records import Classification, Interval, RunMetrics, Trading

SCORE = {"majority_class": "log loss", "last_direction": "accuracy", "buy_and_hold": "mean net return per bar"}


def judged(run: str, **lows: float) -> RunMetrics:
    """A run whose intervals against baselines begin at `lows` and are 1 wide."""
    scores = Classification(
        rows=100,
        accuracy=0.5,
        macro_f1=0.5,
        weighted_f1=0.5,
        auc=0.5,
        precision=None,
        precision_rows=0,
        log_loss=1.0,
        brier=0.6,
    )
    trading = Trading(
        bars=100,
        bars_per_year=252,
        sharpe=0.1,
        annual_return=0.01,
        total_return=0.01,
        max_drawdown=-0.1,
        win_rate=None,
        profit_factor=None,
        trades=0,
        turnover=0,
        ruined=False,
    )
    versus = {name: Interval(estimate=low + 0.5, low=low, high=low + 1) for name, low in lows.items()}
    return RunMetrics(
        run=run,
        model="logistic",
        target="direction_5",
        feature_set="s",
        seed=1,
        classes=3,
        columns=4,
        device="cpu",
        folds={"fold_0": scores},
        pooled=scores,
        intervals={},
        trading=trading,
        trading_intervals={},
        baselines={},
        baseline_trading={},
        versus=versus,
        versus_score=SCORE,
        rows_dropped={},
    )


def three(run: str, majority: float, last: float, held: float) -> RunMetrics:
    return judged(run, majority_class=majority, last_direction=last, buy_and_hold=held)


def test_every_baseline_must_be_beaten():
    assert candidate("a", three("a", 0.1, 0.1, 0.1)).eligible
    missed = candidate("a", three("a", 0.1, 0.1, -0.001))
    assert not missed.eligible
    assert (missed.beats, missed.fails) == (["last_direction", "majority_class"], ["buy_and_hold"])


def test_touching_zero_is_not_above_it():
    assert not candidate("a", three("a", 0.1, 0.0, 0.1)).eligible


def test_a_bound_that_is_no_number_is_not_above_zero():
    assert not candidate("a", three("a", 0.1, float("nan"), 0.1)).eligible


def test_who_was_compared_with_nothing_is_not_eligible():
    assert not candidate("a", judged("a")).eligible
    assert "compared with no baseline" in choose({"a": judged("a")}).reason


def test_the_champion_has_the_largest_bound_against_buying_and_holding():
    verdict = choose({"a": three("a", 9, 9, 0.1), "b": three("b", 0.1, 0.1, 0.2), "c": three("c", 9, 9, -1)})
    assert verdict.run == "b"
    assert "2 of 3 runs passed" in verdict.reason
    assert [found.run for found in verdict.candidates] == ["a", "b", "c"]


def test_equal_runs_go_by_name():
    assert choose({name: three(name, 1, 1, 1) for name in ("z", "b", "m")}).run == "b"


def test_nobody_is_a_verdict_and_names_who_came_closest():
    verdict = choose({"far": three("far", -1, -1, -1), "near": three("near", 0.1, 0.2, -0.25)})
    assert verdict.run is None
    assert "'near' came closest" in verdict.reason
    assert (
        "but not buy_and_hold (difference in mean net return per bar +0.25, interval -0.25 to +0.75)" in verdict.reason
    )


def test_of_equally_many_baselines_beaten_the_smaller_shortfall_is_closest():
    verdict = choose({"a": three("a", 1, 1, -0.5), "b": three("b", 1, 1, -0.4)})
    assert "'b' came closest" in verdict.reason


def test_no_runs_no_champion():
    assert choose({}).run is None


lows = st.floats(-1, 1, allow_nan=False)


@given(st.dictionaries(st.text("abcd", min_size=1, max_size=3), st.tuples(lows, lows, lows), max_size=6))
def test_the_champion_is_always_eligible_and_there_is_one_whenever_someone_is(table):
    verdict = choose({run: three(run, *bounds) for run, bounds in table.items()})
    eligible = {run: bounds for run, bounds in table.items() if min(bounds) > 0}
    assert (verdict.run is None) == (not eligible)
    if verdict.run is not None:
        assert eligible[verdict.run][2] == pytest.approx(max(bounds[2] for bounds in eligible.values()))
