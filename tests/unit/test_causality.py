"""Leaks that are built in and must be found at the bar where they are, and honest columns that must not be blamed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from betti import causality, features, probes, progress, releases
from betti.causality import ProbeFailed, TooFewBars
from betti.context import Context
from betti.errors import BadParam, UnknownName
from betti.features import FeatureFamily, NotFinite
from betti.features import _rolling as rolling

ROWS, BACK = 24, 5
BARS = probes.walk(ROWS, 1)
few = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

Column = Callable[[pd.DataFrame], pd.Series]


def family(column: Column, back: int = BACK) -> FeatureFamily:
    def compute(bars: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"x": column(bars), "honest": bars["close"] / bars["open"]})

    return FeatureFamily("made", ("made__x", "made__honest"), lambda: back, compute, lambda: ())


def leak(column: Column, **more: int) -> causality.Leak:
    """The one leak that there is."""
    (found,) = causality.lookahead(family(column), BARS, times=ROWS, **more).leaks
    assert found.column == "made__x"
    return found


def by_time(values: pd.Series) -> pd.Series:
    return pd.Series(values.to_numpy(), index=BARS["timestamp"])


def looked_up(bars: pd.DataFrame, table: pd.Series) -> pd.Series:
    return bars["timestamp"].map(table).astype("float64")


# --- what reads the future


NEXT = {
    "next return": (lambda bars: bars["close"].shift(-1) / bars["close"] - 1, 1),
    "next return, nothing where there is none": (lambda bars: bars["close"].diff(-1).fillna(0), 1),
    "centred mean": (lambda bars: bars["close"].rolling(5, center=True, min_periods=1).mean(), 2),
    "next volume": (lambda bars: bars["volume"].shift(-1), 1),
    "next taker volume": (lambda bars: bars["buy_volume"].shift(-1), 1),
    "time to the next bar": (lambda bars: bars["timestamp"].diff(-1).dt.total_seconds().fillna(-900), 1),
    "z-score of the whole": (
        lambda bars: (bars["close"] - bars["close"].mean()) / bars["close"].std(),
        ROWS - 1 - BACK,
    ),
    "last bar alone": (lambda bars: bars["close"] / bars["close"].iloc[-1], ROWS - 1 - BACK),
    "rows in all": (lambda bars: bars["close"] / len(bars), ROWS - 1 - BACK),
}


@pytest.mark.parametrize("name", NEXT)
def test_a_leak_is_found_with_how_far_it_reads(name: str) -> None:
    column, ahead = NEXT[name]
    found = leak(column)
    assert (found.kind, found.ahead, found.row) == ("future", ahead, BACK)
    assert found.time == BARS["timestamp"].iloc[BACK]
    assert found.change > 0


@few
@given(ahead=st.integers(1, ROWS - 1 - BACK))
def test_the_distance_read_ahead_is_exact(ahead: int) -> None:
    assert leak(lambda bars: bars["close"].shift(-ahead)).ahead == ahead


@few
@given(row=st.integers(BACK, ROWS - 2))
def test_a_leak_in_one_row_is_found_there(row: int) -> None:
    def column(bars: pd.DataFrame) -> pd.Series:
        values = bars["close"].copy()
        if len(bars) > row + 1:
            values.iloc[row] = bars["close"].iloc[row + 1] + 0.01
        return values

    found = leak(column)
    assert (found.row, found.ahead, found.kind) == (row, 1, "future")


def test_a_column_that_is_there_only_with_a_certain_future_leaks() -> None:
    def compute(bars: pd.DataFrame) -> pd.DataFrame:
        table = pd.DataFrame({"x": bars["close"], "y": bars["open"]})
        return table if len(bars) == ROWS else table[["x"]]

    found = causality.lookahead(FeatureFamily("made", (), lambda: BACK, compute, lambda: ()), BARS)
    assert [(one.column, one.kind, one.change) for one in found.leaks] == [("made__y", "future", np.inf)]


def test_the_change_is_in_the_columns_unit() -> None:
    found = leak(lambda bars: bars["close"] + 3.0 * (len(bars) == ROWS))
    assert found.change == pytest.approx(3.0, abs=1e-4)
    assert leak(lambda bars: bars["close"].shift(-1)).change == np.inf  # the last value went


def test_a_leak_that_waits_for_a_jump_is_found_though_none_came() -> None:
    found = leak(lambda bars: (bars["close"].shift(-1) > 3 * bars["close"]).astype("float64"))
    assert "nothing" not in found.shown_by
    assert "one wild bar" in found.shown_by


def test_a_leak_that_waits_for_a_gap_is_found_though_none_came() -> None:
    found = leak(lambda bars: (bars["timestamp"].diff(-1) < -pd.Timedelta(days=3)).astype("float64"))
    assert found.shown_by == ("a gap in time",)


def test_what_was_tried_is_said() -> None:
    honest = family(lambda bars: bars["close"])
    whole, part = (causality.lookahead(honest, BARS, times=times) for times in (ROWS, 10))
    assert (whole.tried, whole.possible) == (ROWS - 1 - BACK, ROWS - 1 - BACK)
    assert (part.tried, part.possible) == (10, ROWS - 1 - BACK)
    assert (whole.columns, whole.bars, whole.warm_up) == (("made__x", "made__honest"), ROWS, BACK)
    assert (whole.moments, whole.moments_tried) == (0, 0)  # it does not look at what surrounds the market


@few
@given(row=st.integers(BACK, ROWS - 2))
def test_every_row_is_looked_at_even_when_few_futures_are_tried(row: int) -> None:
    found = causality.lookahead(
        family(lambda bars: bars["close"] + (np.arange(len(bars)) == row) * (len(bars) > row + 1)), BARS, times=2
    )
    assert [one.row for one in found.leaks] == [row]


def test_equal_seeds_find_the_same() -> None:
    leaky = family(lambda bars: bars["close"].rolling(3, center=True, min_periods=1).mean())
    first, second = (causality.lookahead(leaky, BARS, times=9, seed=4) for _ in range(2))
    assert first == second
    assert first.leaks


# --- leaks that act on few bars


RARE: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "from row 150 on": lambda bars: pd.Series(np.arange(len(bars)) >= 150, bars.index),
    "on Wednesdays": lambda bars: bars["timestamp"].dt.dayofweek == 2,
    "on 1 of 37 closes": lambda bars: (bars["close"] * 100).round().astype("int64") % 37 == 0,
}
WEEK = probes.walk(BACK + 250)


@pytest.mark.parametrize("name", RARE)
def test_a_leak_that_acts_on_few_bars_is_found_at_them(name: str) -> None:
    def column(bars: pd.DataFrame) -> pd.Series:
        return (bars["close"].shift(-1) > bars["close"]).astype("float64").where(RARE[name](bars), 0.0)

    found = causality.lookahead(family(column), WEEK, times=2).leaks
    assert [(one.column, one.kind) for one in found] == [("made__x", "future")]
    assert RARE[name](WEEK)[found[0].row]


@few
@given(row=st.integers(BACK, ROWS - 2), rises=st.booleans())
def test_a_single_row_that_knows_whether_price_rises_is_found_though_few_are_tried(row: int, rises: bool) -> None:
    """Whether it rose or fell: without a next bar the column says that it did not."""
    time = BARS["timestamp"].iloc[row]

    def column(bars: pd.DataFrame) -> pd.Series:
        ahead = bars["close"].shift(-1)
        known = ahead > bars["close"] if rises else ahead < bars["close"]
        return known.where(bars["timestamp"] == time, False).astype("float64")

    found = causality.lookahead(family(column), BARS, times=2).leaks
    assert [one.row for one in found if one.kind == "future"] == [row]  # its date in the code is a fault of its own


def test_a_leak_is_told_from_a_memory_that_is_longer_than_declared() -> None:
    """Rows that need more history than declared are no fault here, and hide none."""

    def column(bars: pd.DataFrame) -> pd.Series:
        values = bars["close"].expanding().mean()
        leaks = bars["timestamp"] == BARS["timestamp"].iloc[17]
        return values.where(~leaks, bars["close"].shift(-1).fillna(0.0))

    assert causality.lookahead(family(lambda bars: bars["volume"].cumsum()), BARS, times=2).leaks == ()
    found = causality.lookahead(family(column), BARS, times=2).leaks
    assert [(one.column, one.row, one.ahead) for one in found if one.kind == "future"] == [("made__x", 17, 1)]


# --- what surrounds the market


Surrounded = Callable[[pd.DataFrame, Context], pd.Series]


def surrounded(columns: dict[str, Surrounded]) -> FeatureFamily:
    def compute(bars: pd.DataFrame, context: Context | None = None) -> pd.DataFrame:
        assert context is not None
        return pd.DataFrame({name: column(bars, context) for name, column in columns.items()}, index=bars.index)

    return FeatureFamily("made", tuple(f"made__{name}" for name in columns), lambda: BACK, compute, lambda: ())


def headlines_until(bars: pd.DataFrame, context: Context, delay: str = "0s") -> pd.Series:
    """How many were released before a moment after each bar's close."""
    moments = bars["timestamp"] + pd.Timedelta(minutes=15) + pd.Timedelta(delay)
    released = context.headlines["released"]
    return pd.Series(np.searchsorted(released, moments, side="left").astype("float64"), bars.index)


READS_LATER: dict[str, Surrounded] = {
    "all headlines, whenever released": lambda bars, context: bars["close"] * 0 + len(context.headlines),
    "what is released at the close": lambda bars, context: headlines_until(bars, context, "1us"),
    "an hour ahead, in the morning": lambda bars, context: headlines_until(bars, context, "1h").where(
        bars["timestamp"].dt.hour == 8, 0.0
    ),
    "what policy will be": lambda bars, context: bars["close"] * 0 + context.policy["stance"].iloc[-1],
    "the last value of a series": lambda bars, context: bars["close"] * 0 + context.macro["value"].iloc[-1],
}
MAY_BE_READ: dict[str, Surrounded] = {
    "headlines before the close": headlines_until,
    "whether there are headlines": lambda bars, context: bars["close"] * 0 + (context.headlines is not None),
}


def test_what_reads_later_releases_is_found_and_what_reads_earlier_ones_is_not() -> None:
    found = causality.lookahead(surrounded(READS_LATER | MAY_BE_READ), WEEK.iloc[:45], times=100)
    assert [(one.column, one.kind) for one in found.leaks] == [(f"made__{name}", "future") for name in READS_LATER]
    for one in found.leaks:
        assert one.ahead > 0
        assert set(one.shown_by) <= {"no later releases", "other later releases"}
    assert found.moments == found.moments_tried > 40


def test_a_context_that_is_given_is_the_one_that_is_read() -> None:
    seen: list[Context] = []

    def column(bars: pd.DataFrame, context: Context) -> pd.Series:
        seen.append(context)
        return bars["close"]

    given = Context(headlines=releases.around(BARS).headlines)
    found = causality.lookahead(surrounded({"x": column}), BARS, context=given, times=2)
    assert found.moments_tried == 2 < found.moments
    assert {one.sources for one in seen} == {("headlines",)}
    assert given in seen
    seen.clear()
    causality.memory(surrounded({"x": column}), BARS, context=given)
    assert set(seen) == {given}


# --- what comes from elsewhere, and what does not hold still


TABLE = by_time(BARS["close"].shift(-1))
ELSEWHERE: dict[str, Column] = {
    "next close, by time": lambda bars: looked_up(bars, TABLE),
    "next return, by time": lambda bars: looked_up(bars, TABLE) / bars["close"] - 1,
    "nothing where the table ends": lambda bars: looked_up(bars, TABLE).fillna(0),
    "by time and close": lambda bars: looked_up(bars, TABLE).where(bars["close"].isin(BARS["close"]), 0),
    "merged by the last time before": lambda bars: pd.merge_asof(
        bars[["timestamp"]], TABLE.rename("x").rename_axis("timestamp").reset_index(), on="timestamp"
    )["x"],
    "days since a date": lambda bars: (bars["timestamp"] - pd.Timestamp("2023-05-04", tz="UTC")).dt.total_seconds(),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_looked_up_by_time_is_found(name: str) -> None:
    assert leak(ELSEWHERE[name]).kind == "elsewhere"


def test_a_table_that_does_not_cover_the_bars_is_not_seen() -> None:
    later = pd.Series([1.0], index=[pd.Timestamp("2031-01-01", tz="UTC")])
    found = causality.lookahead(family(lambda bars: looked_up(bars, later).fillna(0)), BARS)
    assert found.leaks == ()


def test_a_family_that_keeps_what_it_computed_is_found() -> None:
    kept: dict[pd.Timestamp, float] = {}

    def column(bars: pd.DataFrame) -> pd.Series:
        for time, value in zip(bars["timestamp"], bars["close"].shift(-1), strict=True):
            kept.setdefault(time, value)
        return bars["timestamp"].map(kept)

    assert leak(column).kind in ("elsewhere", "unsteady")


def test_a_random_column_is_unsteady_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    found = leak(lambda bars: pd.Series(rng.normal(size=len(bars)), index=bars.index))
    assert (found.kind, found.ahead) == ("unsteady", 0)


def test_a_column_that_changes_with_what_was_computed_before_is_unsteady() -> None:
    longest = 0

    def column(bars: pd.DataFrame) -> pd.Series:
        nonlocal longest
        longest = max(longest, int(bars["close"].max() > 500))
        return bars["close"] + longest

    assert leak(column).kind == "unsteady"


# --- what must not be blamed


HONEST: dict[str, Column] = {
    "close": lambda bars: bars["close"],
    "missing throughout": lambda bars: bars["close"] * np.nan,
    "constant": lambda bars: bars["close"] * 0,
    "expanding mean": lambda bars: bars["close"].expanding().mean(),
    "hour": lambda bars: bars["timestamp"].dt.hour + bars["timestamp"].dt.minute / 60,
    "weekday": lambda bars: bars["timestamp"].dt.dayofweek.astype("float64"),
    "day of the year": lambda bars: bars["timestamp"].dt.dayofyear.astype("float64"),
    "days in the month": lambda bars: bars["timestamp"].dt.days_in_month.astype("float64"),
    "hour in New York": lambda bars: bars["timestamp"].dt.tz_convert("America/New_York").dt.hour.astype("float64"),
    "time since the last bar": lambda bars: bars["timestamp"].diff().dt.total_seconds(),
    "first bar of each three days": lambda bars: (
        (bars["timestamp"].astype("int64") // (3 * 86_400_000_000)).diff().fillna(0)
    ),
    "first bar of each 16 bars": lambda bars: (
        (bars["timestamp"].astype("int64") // (16 * 900_000_000)).diff().fillna(0)
    ),
    "last rise": lambda bars: bars["close"].where(bars["close"].diff() > 0).ffill().fillna(0),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_column_is_not_blamed(name: str) -> None:
    assert causality.lookahead(family(HONEST[name]), BARS, times=ROWS).leaks == ()


def test_bars_long_ago_and_in_the_future_are_moved_as_well() -> None:
    for start in ("1895-06-01", "2001-02-03", "2098-12-30"):
        times = pd.date_range(start, periods=ROWS, freq="1D", tz="UTC").as_unit("us")
        bars = BARS.assign(timestamp=times)
        table = pd.Series(np.arange(ROWS, dtype="float64"), index=times)
        assert causality.lookahead(family(HONEST["weekday"]), bars, times=2).leaks == ()
        (found,) = causality.lookahead(family(lambda b, t=table: looked_up(b, t)), bars, times=2).leaks
        assert found.kind == "elsewhere"


# --- memory


def memory(column: Column, back: int, rows: int = 2000) -> causality.Drift:
    report = causality.memory(family(column, back), probes.walk(rows, 2))
    assert report.drifts[1].drifts == (0.0,) * len(report.histories)
    return report.drifts[0]


def test_a_finite_window_needs_no_more_than_itself() -> None:
    assert (
        memory(lambda bars: pd.Series(rolling.mean(bars["close"].to_numpy(), 20), bars.index), 19).drifts == (0.0,) * 4
    )


def test_a_window_longer_than_declared_is_found_with_what_it_needs() -> None:
    found = memory(lambda bars: pd.Series(rolling.mean(bars["close"].to_numpy(), 20), bars.index), 5)
    assert found.short
    assert found.drifts == (np.inf, np.inf, 0.0, 0.0)  # 20 bars of history are enough, 10 are not
    assert found.settled == 2


@few
@given(decay=st.floats(0.5, 0.99), back=st.integers(2, 60))
def test_the_drift_of_a_recursive_mean_is_what_its_weights_say(decay: float, back: int) -> None:
    """m[t] = decay x m[t-1] + (1 - decay) x c[t], begun at the first close: by hand, from the last bars alone."""
    bars = probes.walk(900, 5)
    report = causality.memory(family(lambda b: b["close"].ewm(alpha=1 - decay, adjust=False).mean(), back), bars)
    close = bars["close"].to_numpy()
    ends = np.unique(np.linspace(report.reference, len(bars) - 1, report.rows).astype(int))

    def last(end: int, history: int) -> float:
        used = close[end - history : end + 1]
        weights = (1 - decay) * decay ** np.arange(history, -1, -1.0)
        weights[0] = decay**history
        return float(weights @ used)

    whole = np.array([last(end, end) for end in ends])
    for history, drift in zip(report.histories, report.drifts[0].drifts, strict=True):
        distance = max(abs(last(end, history) - value) for end, value in zip(ends, whole, strict=True))
        assert drift == pytest.approx(distance / np.sqrt(np.mean(whole**2)), rel=0.02, abs=3e-7)


def test_what_never_forgets_is_said_to_need_more_than_was_tried() -> None:
    found = memory(lambda bars: bars["volume"].cumsum(), 10)
    assert found.settled is None
    assert all(drift > causality.TOLERANCE for drift in found.drifts)


def test_a_lookup_by_row_number_is_found() -> None:
    table = np.random.default_rng(3).normal(size=5000)
    assert memory(lambda bars: pd.Series(table[: len(bars)], bars.index), 10).short


def test_last_digits_are_told_apart_from_drift() -> None:
    report = causality.memory(family(lambda bars: bars["close"] * (1 + 4e-7 * (len(bars) % 7)), 10), probes.walk(900))
    assert report.short == ()
    assert [drift.column for drift in report.inexact] == ["made__x"]


def test_nothing_declared_is_a_history_too() -> None:
    assert memory(lambda bars: bars["close"], 0).drifts == (0.0,)
    assert memory(lambda bars: bars["close"].diff().fillna(0), 0).short


def test_histories_that_the_bars_do_not_hold_are_left_out() -> None:
    report = causality.memory(family(lambda bars: bars["close"], 50), probes.walk(200))
    assert (report.histories, report.reference) == ((50, 100), 150)


def test_a_column_without_any_value_has_no_drift() -> None:
    assert memory(lambda bars: bars["close"] * np.nan, 10).drifts == (0.0,) * 4


# --- what both refuse, and what they leave alone


CHECKS = {"lookahead": causality.lookahead, "memory": causality.memory}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_too_few_bars_are_refused_with_how_many_it_takes(check: Callable) -> None:
    honest = family(lambda bars: bars["close"])
    with pytest.raises(TooFewBars, match="at least 7"):
        check(honest, BARS.iloc[:6])
    assert check(honest, BARS.iloc[:7]).family == "made"


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_a_family_that_raises_is_named_with_its_cause(check: Callable) -> None:
    with pytest.raises(ProbeFailed, match=r"'made' failed on .*KeyError: 'news'"):
        check(family(lambda bars: bars["news"]), BARS)


def test_a_family_that_fails_on_another_future_says_on_which() -> None:
    def column(bars: pd.DataFrame) -> pd.Series:
        if bars["volume"].iloc[-1] == 0:
            raise ZeroDivisionError
        return bars["close"]

    bars = BARS.assign(volume=1.0)
    with pytest.raises(ProbeFailed, match="with a standstill after 2024"):
        causality.lookahead(family(column), bars)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_errors_with_a_remedy_of_their_own_stay_what_they_are(check: Callable) -> None:
    with pytest.raises(NotFinite):
        check(family(lambda bars: bars["close"] / 0), BARS)
    with pytest.raises(UnknownName, match="widnow"):
        check(features.family("complexity"), BARS, knobs={"widnow": 3})
    with pytest.raises(BadParam, match="window"):
        check(features.family("complexity"), BARS, knobs={"window": 3})


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_the_bars_stay_as_they_are_whatever_a_family_does(check: Callable) -> None:
    def column(bars: pd.DataFrame) -> pd.Series:
        bars["close"] = 1.0
        return bars["open"]

    kept = BARS.copy(deep=True)
    check(family(column), BARS)
    pd.testing.assert_frame_equal(BARS, kept)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_knobs_reach_the_family_and_progress_is_told(check: Callable) -> None:
    told: list[tuple[int, int]] = []
    with progress.listening(lambda done, total, what: told.append((done, total)) if what == causality.WORK else None):
        report = check(features.family("complexity"), probes.walk(100), knobs={"window": 8, "entropy_window": 50})
    assert getattr(report, "warm_up", getattr(report, "lookback", None)) == 50
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
