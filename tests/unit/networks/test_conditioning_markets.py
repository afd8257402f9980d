"""Regimes of real markets: how long they stay and what they give away of the instrument, on rows after the training.

Thresholds and classifier see the first half of each market; all that is judged lies in the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from betti import features, sources
from betti.features._sets import declared
from betti.models.hrm import _teach_regimes
from betti.networks.conditioning import (
    REGIMES,
    ConditioningConfig,
    RegimeRule,
    against_own_past,
    instrument_information,
    session_regimes,
    sessions_against_own_past,
    switching_share,
)
from betti.networks.hrm import HierarchicalReasoningModel, HrmConfig
from betti.windows import NamedInputs
from tests.unit.sources.files import END, recorded, with_market_data

PAST, SESSIONS = 200, 60
STABLE = ConditioningConfig().regime.stability_threshold
TELLING = 0.1  # bits
STOCKS = ("AAPL", "XOM", "KO", "JPM", "IBM", "NVDA", "PFE", "WMT", "CAT", "GE")
INTRADAY = ("SPX_5m", "BTCUSDT-PERP_15m")


@dataclass(frozen=True)
class Market:
    """(n, 20) regime numbers of one instrument's bars, and the day of each."""

    rows: np.ndarray
    days: np.ndarray

    @classmethod
    def of(cls, bars: pd.DataFrame) -> Market:
        table = features.compute("microstructure", bars)[list(declared("regime").columns)].to_numpy("float32")
        days = bars["timestamp"].dt.tz_localize(None).to_numpy("datetime64[D]")
        there = np.isfinite(table).all(axis=1)
        return cls(table[there], days[there])

    def windows(self) -> np.ndarray:
        """(n - PAST + 1, PAST, 20), a view."""
        return np.lib.stride_tricks.sliding_window_view(self.rows, PAST, axis=0).transpose(0, 2, 1)

    def relative(self) -> np.ndarray:
        """(n - PAST + 1, 20) of the bars."""
        windows = torch.from_numpy(self.rows).unfold(0, PAST, 1).transpose(1, 2)
        return torch.cat([against_own_past(part) for part in windows.split(4096)]).numpy()

    def session_windows(self) -> np.ndarray:
        """(sessions - SESSIONS + 1, SESSIONS, 20): as `sessions_against_own_past` reads them."""
        means = pd.DataFrame(self.rows).groupby(self.days).mean().to_numpy("float32")
        return np.lib.stride_tricks.sliding_window_view(means, SESSIONS, axis=0).transpose(0, 2, 1)


def recorded_market(name: str) -> Market:
    columns = ["timestamp", "symbol", "open", "high", "low", "close", "volume"]
    return Market.of(pd.read_parquet(recorded(f"{name}.parquet"))[columns])


def taught(windows: Sequence[np.ndarray], epochs: int = 5) -> torch.nn.Module:
    """The classifier, as the registered model teaches it on these training windows."""
    torch.manual_seed(0)
    network = HierarchicalReasoningModel(HrmConfig.small(3, 2, ConditioningConfig(enable_regime=True)))
    _teach_regimes(NamedInputs({"regime": np.concatenate(windows)}), epochs, 7, network, "cpu")
    return network.conditioning.regime_classifier.eval()


@dataclass(frozen=True)
class Told:
    """What one teller says of each market: (n, 8) probabilities, and the session of each row."""

    chances: list[np.ndarray]
    sessions: list[np.ndarray]

    @property
    def raw(self) -> list[np.ndarray]:
        """The regime of each row, as it was told."""
        return [one.argmax(axis=1) for one in self.chances]

    @property
    def steady(self) -> list[np.ndarray]:
        """The regime of each session."""
        return [session_regimes(one, days) for one, days in zip(self.chances, self.sessions, strict=True)]

    def switching(self) -> list[float]:
        return [switching_share(one) for one in self.steady]


def information(regimes: list[np.ndarray]) -> float:
    instruments = np.repeat(np.arange(len(regimes)), [len(one) for one in regimes])
    return instrument_information(np.concatenate(regimes), instruments)


def by_rule(rule: RegimeRule, later: list[np.ndarray], sessions: list[np.ndarray]) -> Told:
    return Told([np.eye(len(REGIMES))[rule.regimes(rows)] for rows in later], sessions)


@torch.no_grad()
def by_classifier(classifier: torch.nn.Module, later: list[np.ndarray], sessions: list[np.ndarray]) -> Told:
    return Told([classifier(torch.from_numpy(rows)).softmax(dim=1).numpy() for rows in later], sessions)


def of_bars(markets: list[Market], thinned: int = 1) -> tuple[Told, Told]:
    """Rule and classifier over bars; the classifier is taught every `thinned`-th training window."""
    relative = [one.relative() for one in markets]
    halves = [len(rows) // 2 for rows in relative]
    early = [rows[:half] for rows, half in zip(relative, halves, strict=True)]
    later = [rows[half:] for rows, half in zip(relative, halves, strict=True)]
    days = [one.days[PAST - 1 + half :] for one, half in zip(markets, halves, strict=True)]
    windows = [one.windows()[:half:thinned] for one, half in zip(markets, halves, strict=True)]
    rule, classifier = RegimeRule.fitted(np.concatenate(early)), taught(windows)
    told = by_rule(rule, later, days), by_classifier(classifier, later, days)
    # It has learnt the rule: with too few steps it would know the two or three usual regimes alone.
    known = by_classifier(classifier, early, days).raw
    assert np.mean(np.concatenate(known) == rule.regimes(np.concatenate(early))) > 0.85
    return told


def of_sessions(markets: list[Market]) -> tuple[Told, Told]:
    """Rule and classifier over sessions against the sessions before them."""
    relative = [sessions_against_own_past(one.rows, one.days, past=SESSIONS) for one in markets]
    halves = [len(rows) // 2 for rows in relative]
    later = [rows[half:] for rows, half in zip(relative, halves, strict=True)]
    numbers = [np.arange(len(rows)) for rows in later]
    rule = RegimeRule.fitted(np.concatenate([rows[:half] for rows, half in zip(relative, halves, strict=True)]))
    # A few hundred sessions: more passes over them.
    classifier = taught([one.session_windows()[:half] for one, half in zip(markets, halves, strict=True)], epochs=40)
    return by_rule(rule, later, numbers), by_classifier(classifier, later, numbers)


def sample(until: str = "2100-01-01") -> list[pd.DataFrame]:
    end = pd.Timestamp(until, tz="UTC")
    tables = [sources.fetch("sample", (symbol,), "1d", END, {}) for symbol in ("NASDAQ", "SP500")]
    return [one[one["timestamp"] < end].reset_index(drop=True) for one in tables]


def test_regimes_of_the_sample_stay_and_tell_no_instrument() -> None:
    for told in of_bars([Market.of(one) for one in sample()], thinned=2):
        assert max(told.switching()) < STABLE
        assert information(told.raw) < TELLING
        assert information(told.steady) < TELLING
        assert (np.bincount(np.concatenate(told.steady), minlength=8) > 0).sum() >= 4  # and they are several


def test_later_bars_change_no_earlier_regime() -> None:
    whole, before = sample()[0], sample("2012-07-01")[0]
    changed = whole.copy()
    changed.loc[len(before) :, ["open", "high", "low", "close"]] *= 3.0
    tables = [Market.of(one) for one in (before, whole, changed)]
    rows = len(tables[0].rows)
    rule = RegimeRule.fitted(tables[0].relative()[:1500])
    found = [by_rule(rule, [one.relative()], [one.days[PAST - 1 :]]).steady[0] for one in tables]
    assert len(found[0]) == rows - PAST + 1
    for regimes in found[1:]:
        assert np.array_equal(regimes[: len(found[0])], found[0])
    assert not np.array_equal(found[1], found[2])  # what comes later does count later


@with_market_data
def test_regimes_of_stocks_stay_and_tell_no_instrument() -> None:
    for told in of_bars([recorded_market(f"{name}_1d") for name in STOCKS], thinned=8):
        assert max(told.switching()) < STABLE
        assert information(told.raw) < TELLING
        assert information(told.steady) < TELLING


@with_market_data
def test_regimes_of_intraday_sessions_stay_and_tell_no_instrument() -> None:
    markets = [recorded_market(name) for name in INTRADAY]
    for told in (*of_bars(markets, thinned=8), *of_sessions(markets)):
        assert max(told.switching()) < STABLE
        # As they are told. Steadied, so short a history has a dozen spells of each: too few to judge.
        assert information(told.raw) < TELLING
