"""The recorded files, where they are: they go through, and say what happened on days that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti import context, counts, features
from betti.context import Context
from tests.unit.context.made import bars
from tests.unit.sources.files import recorded

pytest.importorskip("vaderSentiment", reason="the tone of headlines: pip install betti[context]")


@pytest.fixture(scope="module")
def whole() -> Context:
    policy = {"notice_days": 150, "unscheduled": ("2020-03-03", "2020-03-15"), "time_of_day": "14:00"}
    return Context(
        context.read("headlines", [(recorded("context/news_headlines.parquet"), {})]),
        context.read("policy", [(recorded("context/fomc_dates.parquet"), policy)]),
        context.read(
            "macro", [(recorded("context/macro_series.parquet"), {}), (recorded("context/us_cpi_releases.parquet"), {})]
        ),
    )


def at_close(whole: Context, opens: pd.DatetimeIndex, **knobs: object) -> pd.DataFrame:
    table = features.compute("context", bars(opens), context=whole, **knobs)
    return table.set_index("timestamp").rename(columns=lambda name: name.removeprefix("context__"))


def test_every_row_goes_through(whole: Context) -> None:
    assert whole.headlines is not None and whole.policy is not None and whole.macro is not None
    assert (len(whole.headlines), len(whole.policy), len(whole.macro)) == (35482, 223, 49163)
    read = context.read("macro", [(recorded("context/macro_series.parquet"), {})])
    assert counts.of(read) == {"rows": 50271, "empty": 1201, "repeated": 0, "lagged": 49070}


def test_a_price_release_is_a_surprise_from_its_minute_on(whole: Context) -> None:
    """CPI of May 2022, out on 2022-06-10 at 08:30 in New York: 8.6 per cent where 8.3 were expected."""
    found = at_close(whole, pd.date_range("2022-06-10", "2022-06-10 20:00", freq="15min", tz="UTC"), fade_days=365.0)
    surprise = found["macro_inflation_surprise"]
    assert surprise["2022-06-10 12:30":].round(2).eq(0.3).all()
    assert not surprise["2022-06-10 05:00":"2022-06-10 12:15"].round(2).eq(0.3).any()
    np.testing.assert_allclose(found["macro_inflation"]["2022-06-10 12:15":"2022-06-10 12:30"], [8.3, 8.6], rtol=1e-6)


def test_an_emergency_cut_is_urgent_and_was_not_on_the_schedule(whole: Context) -> None:
    found = at_close(whole, pd.date_range("2020-02-01", "2020-03-31", freq="h", tz="UTC"), fade_days=1.0)
    assert found["policy_urgency"]["2020-03-03 18:00"] == 0 < found["policy_urgency"]["2020-03-03 19:00"]
    assert found["policy_imminence"]["2020-03-02":"2020-03-15"].max() < 1e-6
    assert found["policy_freshness"]["2020-03-15 18:00"] > 0.9


def test_the_crash_of_2020(whole: Context) -> None:
    days = pd.date_range("2018-03-01", "2020-07-01", freq="D", tz="UTC")
    found = at_close(whole, days)
    march = found["2020-03-10":"2020-03-31"].mean(numeric_only=True)
    rest = found["2018-06-01":"2019-12-31"].mean(numeric_only=True)
    assert march["macro_volatility"] > 3 > rest["macro_volatility"]
    assert march["macro_credit_spread"] > 3 > rest["macro_credit_spread"]
    assert march["news_sentiment"] < rest["news_sentiment"]
    assert found["macro_unemployment_change"]["2020-06-20"] > 9
    # Unemployment of April came out on 2020-05-08; the lag may be late, never early.
    assert found["macro_unemployment_change"]["2020-05-07"] < 2


def test_no_lag_is_shorter_than_a_real_release_took(whole: Context) -> None:
    """Price indices by their lag against the recorded minutes of their release."""
    macro = whole.macro
    assert macro is not None
    by_lag = macro[macro["series"].isin(["CPIAUCSL", "CPI_US_BLS"])].groupby("observed")["released"].min()
    real = macro[macro["series"] == "US_CPI_YOY"].set_index("observed")["released"]
    both = pd.concat([by_lag, real], axis=1, keys=["lag", "real"]).dropna()
    assert len(both) > 80
    assert (both["lag"] > both["real"]).all()


def test_values_are_finite_over_a_quarter_of_a_century(whole: Context) -> None:
    found = at_close(whole, pd.bdate_range("2000-01-03", "2025-12-31", tz="UTC"))
    assert np.isfinite(found.iloc[20:, 1:].to_numpy(dtype="float64")).all()
    assert (found.iloc[20:, 1:].drop(columns=["policy_stance", "policy_impact", "macro_oil_change"]).std() > 0).all()
