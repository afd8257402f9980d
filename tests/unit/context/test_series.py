"""Readings of a series at each release, against one made from scratch of what was published until then."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.context import Context
from betti.context import _series as series
from tests.unit.context.made import macro

few = settings(max_examples=10, deadline=None, derandomize=True)
START = pd.Timestamp("2000-01-01", tz="UTC")
READINGS: list[Callable[[series.Standing], float]] = [
    series.level,
    partial(series.change, days=10),
    partial(series.growth, days=20),
    partial(series.standard, days=40),
]


def day(number: int) -> str:
    return str(START + pd.Timedelta(days=number))


def rows_of(context: Context) -> pd.DataFrame:
    assert context.macro is not None
    return context.macro


def scratch(rows: pd.DataFrame, reading: Callable[[series.Standing], float]) -> list[float]:
    found = []
    for moment in sorted(rows["released"].unique()):
        past = rows[rows["released"] <= moment].drop_duplicates("observed", keep="last").sort_values("observed")
        observed = past["observed"].dt.tz_localize(None).to_numpy(dtype="datetime64[us]").astype(np.int64)
        found.append(reading(series.Standing(observed, past["value"].to_numpy(), len(past) - 1)))
    return found


@st.composite
def vintages(draw: st.DrawFn) -> pd.DataFrame:
    """Values of days, some of them published late, some revised."""
    rows: dict[tuple[int, int], float] = {}
    for observed in range(draw(st.integers(1, 40))):
        for wait in draw(st.lists(st.integers(0, 30), min_size=1, max_size=2, unique=True)):
            rows[observed, observed + wait] = draw(st.integers(1, 50)) / 4
    return macro(*((day(released), "X", day(observed), value) for (observed, released), value in rows.items()))


@few
@given(vintages())
def test_a_reading_is_that_of_what_was_published_until_then(table: pd.DataFrame) -> None:
    rows = rows_of(Context(macro=table))
    for reading in READINGS:
        track = series.track(rows, reading)
        assert len(track.released) == rows["released"].nunique()
        np.testing.assert_allclose(track.value, scratch(rows, reading), rtol=1e-12)


def test_growth_over_a_year_by_hand() -> None:
    months = pd.date_range("2019-01-01", "2024-06-01", freq="MS", tz="UTC")
    table = macro(
        *((str(m + pd.Timedelta(days=45)), "P", str(m), 100 * 1.02 ** (k / 12)) for k, m in enumerate(months))
    )
    track = series.track(rows_of(Context(macro=table)), series.growth)
    assert np.isnan(track.value[:12]).all()
    np.testing.assert_allclose(track.value[12:], 2.0, rtol=1e-9)
    # A quarter is three months, whatever their days.
    quarter = series.track(rows_of(Context(macro=table)), partial(series.change, days=89))
    value = table["value"].to_numpy()
    np.testing.assert_allclose(quarter.value[3:], value[3:] - value[:-3], rtol=1e-9)


def test_growth_change_is_the_difference_of_two_growths() -> None:
    months = pd.date_range("2019-01-01", "2022-06-01", freq="MS", tz="UTC")
    value = 100 + np.arange(len(months)) ** 1.5
    table = macro(*((str(m), "P", str(m), v) for m, v in zip(months, value, strict=True)))
    rows = rows_of(Context(macro=table))
    growth, found = (
        series.track(rows, series.growth).value,
        series.track(rows, partial(series.growth_change, days=89)).value,
    )
    np.testing.assert_allclose(found[15:], growth[15:] - growth[12:-3], rtol=1e-9)
    assert np.isnan(found[:15]).all()


@pytest.mark.parametrize(("earlier", "found"), [(90, 2.0), (267, 2.0), (268, math.nan), (88, math.nan)])
def test_a_change_needs_a_value_of_about_that_age(earlier: int, found: float) -> None:
    rows = rows_of(Context(macro=macro((day(0), "X", day(0), 1.0), (day(earlier), "X", day(earlier), 3.0))))
    np.testing.assert_equal(series.track(rows, partial(series.change, days=89)).value[-1], found)


def test_a_distance_is_measured_in_deviations_of_the_past_alone() -> None:
    values = [*np.tile([1.0, 3.0], 10), 7.0, 1e9]
    rows = rows_of(Context(macro=macro(*((day(k), "X", day(k), v) for k, v in enumerate(values)))))
    found = series.track(rows, partial(series.standard, days=1000)).value
    assert np.isnan(found[: series.FEWEST]).all() and not np.isnan(found[series.FEWEST :]).any()
    assert found[20] == pytest.approx((7 - 2) / 1.0)
    assert found[21] == series.LARGEST


@pytest.mark.parametrize("value", [0.0, 5.3, 1e9])
def test_a_flat_past_gives_zero(value: float) -> None:
    rows = rows_of(
        Context(macro=macro(*((day(k), "X", day(k), value) for k in range(30)), (day(30), "X", day(30), 9.0)))
    )
    assert series.track(rows, partial(series.standard, days=1000)).value[-1] == 0.0


def test_a_value_that_is_not_positive_has_no_growth() -> None:
    rows = rows_of(Context(macro=macro((day(0), "X", day(0), -1.0), (day(370), "X", day(370), 3.0))))
    assert np.isnan(series.track(rows, series.growth).value).all()


def test_a_surprise_is_the_first_release_against_its_forecast() -> None:
    rows = rows_of(
        Context(
            macro=macro(
                (day(10), "X", day(0), 3.0, 2.5),
                (day(40), "X", day(30), 3.0),
                (day(50), "X", day(0), 9.0, 2.5),
                (day(70), "X", day(60), 2.0, 2.25),
            )
        )
    )
    found = series.surprise(rows)
    assert found.value.tolist() == [0.5, -0.25]
    assert len(found.released) == 2
