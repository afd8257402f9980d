"""Good rows pass, bad rows go to quarantine with a reason, and none is lost."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import sources
from betti.context import Context
from betti.errors import BadBars, TooManyQuarantined
from betti.expectations import _engine as engine
from betti.expectations.bars import prepared, suite
from betti.expectations.result import Validation
from betti.schemas import REASONS
from betti.stages.validate import EXAMPLES, Validated, validate
from tests.conftest import random_bars

UNTIL = "2018-12-31T00:00:00+00:00"


def validated(bars: pd.DataFrame, share: float = 1.0, until: str = UNTIL) -> Validated:
    return validate(
        bars,
        Context(),
        max_quarantined_share=share,
        stale_open_share=0.2,
        jump=0.25,
        calendars={},
        drift={"psi_warn": 0.25, "psi_stop": None, "ks_warn": 0.2, "ks_stop": None},
        until=until,
        accepted=None,
    )


def with_values(bars: pd.DataFrame, row: int, **values: float) -> pd.DataFrame:
    changed = bars.copy()
    for name, value in values.items():
        changed.loc[row, name] = value
    return changed


def repeated(bars: pd.DataFrame, row: int, **values: float) -> pd.DataFrame:
    """The row again, before itself and with other values."""
    copy = bars.iloc[[row]].assign(**values)
    return pd.concat([bars.iloc[:row], copy, bars.iloc[row:]], ignore_index=True)


def late(bars: pd.DataFrame, row: int) -> pd.DataFrame:
    changed = bars.copy()
    changed.loc[row, "timestamp"] = pd.Timestamp("2030-01-01", tz="UTC") + pd.Timedelta(days=row)
    return changed


FAULTS = {
    "missing price": (lambda b, r: with_values(b, r, close=np.nan), "missing_value"),
    "infinite price": (lambda b, r: with_values(b, r, high=np.inf), "infinite"),
    "infinite volume": (lambda b, r: with_values(b, r, volume=np.inf), "infinite"),
    "zero price": (lambda b, r: with_values(b, r, low=0.0), "non_positive_price"),
    "negative price": (lambda b, r: with_values(b, r, low=-1.0), "non_positive_price"),
    "high below low": (lambda b, r: with_values(b, r, high=b["low"][r] * 0.9), "high_below_low"),
    "open above high": (lambda b, r: with_values(b, r, open=b["high"][r] * 1.1), "open_outside_range"),
    "open below low": (lambda b, r: with_values(b, r, open=b["low"][r] * 0.9), "open_outside_range"),
    "close above high": (lambda b, r: with_values(b, r, close=b["high"][r] * 1.1), "close_outside_range"),
    "close below low": (lambda b, r: with_values(b, r, close=b["low"][r] * 0.9), "close_outside_range"),
    "negative volume": (lambda b, r: with_values(b, r, volume=-1.0), "negative_volume"),
    "equal duplicate": (lambda b, r: repeated(b, r), "duplicate_equal"),
    "other duplicate": (lambda b, r: repeated(b, r, volume=1.0), "duplicate_differs"),
    "the future": (late, "future"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_goes_to_quarantine_with_its_reason(fault):
    damage, reason = FAULTS[fault]
    bars = damage(random_bars(50), 20)
    result = validated(bars)
    assert len(result.quarantine) == 1
    assert reason in result.quarantine["reason"].iloc[0].split(",")
    assert len(result.clean) == len(bars) - 1
    (quality,) = result.validation.summary.symbols
    assert quality.reasons[reason] == 1


def test_every_reason_is_tested_here():
    assert {reason for _, reason in FAULTS.values()} == set(REASONS)


def test_a_row_with_two_faults_has_both_reasons_in_order():
    result = validated(with_values(random_bars(50), 20, close=np.nan, volume=-1.0))
    assert result.quarantine["reason"].tolist() == ["missing_value,negative_volume"]


@settings(max_examples=12, deadline=None)
@given(
    faults=st.lists(st.tuples(st.sampled_from(sorted(FAULTS)), st.integers(0, 39)), max_size=6),
    seed=st.integers(0, 100),
)
def test_rows_in_are_rows_clean_and_rows_quarantined(faults, seed):
    bars = pd.concat([random_bars(40, seed), random_bars(30, seed + 1, "BBB")], ignore_index=True)
    for fault, row in faults:
        bars = FAULTS[fault][0](bars, row)
    shuffled = bars.sample(frac=1, random_state=seed)
    before = shuffled.copy()
    result = validated(shuffled)
    pd.testing.assert_frame_equal(shuffled, before)
    together = pd.concat([result.clean, result.quarantine.drop(columns="reason")], ignore_index=True)
    order = list(bars.columns)
    pd.testing.assert_frame_equal(
        together.sort_values(order, ignore_index=True), bars.sort_values(order, ignore_index=True)
    )
    for quality in result.validation.summary.symbols:
        assert quality.rows_in == quality.rows_clean + quality.rows_quarantined
    assert all(set(reason.split(",")) <= set(REASONS) for reason in result.quarantine["reason"])
    assert not result.clean.duplicated(["symbol", "timestamp"]).any()


@pytest.mark.parametrize("values", [{}, {"close": 100.0, "low": 1.0, "high": 200.0}])
def test_of_a_repeated_time_the_last_row_is_kept(values):
    bars = repeated(random_bars(50), 20, **values)
    result = validated(bars)
    pd.testing.assert_frame_equal(result.clean, random_bars(50))
    pd.testing.assert_frame_equal(result.quarantine.drop(columns="reason"), bars.iloc[[20]].reset_index(drop=True))


def test_good_bars_pass_untouched(bars):
    result = validated(bars)
    pd.testing.assert_frame_equal(result.clean, bars)
    assert result.quarantine.empty
    assert all(one.success for one in result.validation.summary.expectations)


def test_what_passes_satisfies_the_suite_on_its_own():
    result = validated(FAULTS["zero price"][0](random_bars(50), 20))
    assert engine.run(prepared(result.clean), suite(until=pd.Timestamp(UNTIL))).success


@pytest.mark.parametrize("volume", [np.nan, 0.0])
def test_a_market_without_volume_is_legal(volume):
    bars = random_bars(50).assign(volume=volume)
    result = validated(bars)
    assert len(result.clean) == 50
    flag = "missing_volume" if np.isnan(volume) else "zero_volume"
    assert result.validation.summary.symbols[0].flags[flag] == 50


def test_too_many_bad_rows_stop_the_run():
    bars = pd.concat([random_bars(100), random_bars(100, 2, "BBB")], ignore_index=True)
    for row in (130, 120):
        bars = with_values(bars, row, low=-1.0)
    with pytest.raises(TooManyQuarantined) as caught:
        validated(bars, share=0.01)
    said = str(caught.value)
    for part in ("BBB", "2 of 100", "2.00% > 1.00%", "non_positive_price 2", str(bars["timestamp"][120])):
        assert part in said
    assert len(validated(bars, share=0.02).quarantine) == 2


def test_no_bars_are_an_error():
    with pytest.raises(BadBars, match="no rows"):
        validated(random_bars(3).iloc[:0])


def test_a_symbol_with_few_bars_passes():
    for rows in (1, 2, 10):
        assert len(validated(random_bars(rows)).clean) == rows


def test_jumps_flat_bars_and_gaps_are_flagged_and_kept():
    bars = random_bars(60).drop(index=range(30, 40)).reset_index(drop=True)
    bars.loc[45:, ["open", "high", "low", "close"]] *= 10
    bars.loc[5, ["open", "high", "low"]] = bars.loc[5, "close"]
    result = validated(bars)
    assert len(result.clean) == 50
    flags = result.validation.summary.symbols[0].flags
    assert (flags["jumps"], flags["flat_bars"], flags["gaps"]) == (1, 1, 1)


def test_flagged_bars_and_gaps_are_shown_and_counted_in_full():
    bars = random_bars(600).drop(index=range(300, 310)).reset_index(drop=True)
    bars.loc[400:, ["open", "high", "low", "close"]] *= 0.5
    bars.loc[20:49, "volume"] = 0.0
    (quality,) = validated(bars).validation.summary.symbols
    assert quality.flags == {"gaps": 1, "jumps": 1, "split_like": 1, "zero_volume": 30}
    shown = [(example.rule, example.timestamp) for example in quality.examples]
    split = bars["timestamp"][400].isoformat()
    assert [one for one in shown if one[0] != "zero_volume"] == [("jumps", split), ("split_like", split)]
    assert [at for rule, at in shown if rule == "zero_volume"] == [
        at.isoformat() for at in bars["timestamp"][20 : 20 + EXAMPLES]
    ]
    (gap,) = quality.gaps
    assert (gap.after, gap.until) == tuple(bars["timestamp"][at].isoformat() for at in (299, 300))
    assert (gap.missing, gap.kind) == (10, "bars")


def test_quarantined_bars_are_not_flagged_as_well():
    bars = late(with_values(random_bars(200), 100, open=5e3, high=5e3, low=5e3, close=-5e3), 150)
    result = validated(bars)
    assert len(result.quarantine) == 2
    assert result.validation.summary.symbols[0].flags == {"gaps": 2}


def test_a_symbol_without_a_good_bar_is_described():
    (quality,) = validated(random_bars(30).assign(low=-1.0)).validation.summary.symbols
    assert (quality.rows_clean, quality.flags, quality.gaps) == (0, {}, [])


def test_the_sample_is_clean_and_its_known_oddities_are_flagged():
    bars = sources.fetch("sample", ("SP500", "NASDAQ"), "1d", pd.Timestamp(UNTIL), {})
    result = validated(bars, share=0.0)
    flags = {quality.symbol: quality.flags for quality in result.validation.summary.symbols}
    assert flags["SP500"]["years_with_stale_opens"] == 10
    assert flags["NASDAQ"]["zero_volume"] == 2
    assert set(flags["NASDAQ"]) == {"closed_sessions", "zero_volume"}
    assert set(flags["SP500"]) == {"closed_sessions", "stale_opens", "years_with_stale_opens"}


LOADED = re.compile(
    r"<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)=|@import|url\(\s*['\"]?(?:https?:)?//", re.I
)


def test_data_docs_are_deterministic_and_load_nothing_from_the_network():
    bars = FAULTS["zero price"][0](random_bars(50), 20)
    pages = validated(bars).validation.pages
    assert set(pages) == {"incoming.html", "clean.html"}
    assert pages == validated(bars).validation.pages
    for html in pages.values():
        assert not LOADED.search(html)
        assert "high" in html
        assert len(html) > 2000
    assert pages["incoming.html"] != pages["clean.html"]


def test_the_check_for_loading_sees_a_script_and_a_style():
    for html in ('<script src="https://x/y.js">', "<link rel='a' href='//x'>", "@import 'x'", "url(https://x)"):
        assert LOADED.search(html)


def test_the_outcome_is_kept_in_a_folder(tmp_path):
    validation = validated(random_bars(20)).validation
    validation.save(tmp_path)
    assert Validation.load(tmp_path) == validation


@pytest.mark.parametrize(("column", "bound"), [("close", "high"), ("open", "high"), ("close", "low"), ("open", "low")])
@pytest.mark.parametrize(("beyond", "bad"), [(2.3e-16, 0), (1e-13, 0), (1e-11, 1), (1e-6, 1)])
def test_a_price_outside_its_range_by_a_rounding_is_no_fault(column, bound, beyond, bad):
    """Vendors multiply prices for splits and dividends, each of them rounded by itself."""
    bars = random_bars(50)
    sign = 1 if bound == "high" else -1
    bars.loc[20, column] = bars.loc[20, bound] * (1 + sign * beyond)
    assert len(validated(bars).quarantine) == bad
