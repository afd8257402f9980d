"""Rolling statistics against pandas, and their independence of where the frame starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from betti.features import _rolling as rolling

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = np.random.default_rng(0).normal(100, 3, 400)
SERIES = pd.Series(VALUES)
WINDOW = 17

AGAINST_PANDAS = {
    "total": (rolling.total(VALUES, WINDOW), SERIES.rolling(WINDOW).sum()),
    "mean": (rolling.mean(VALUES, WINDOW), SERIES.rolling(WINDOW).mean()),
    "deviation": (rolling.deviation(VALUES, WINDOW), SERIES.rolling(WINDOW).std(ddof=0)),
    "highest": (rolling.extreme(VALUES, WINDOW, np.maximum), SERIES.rolling(WINDOW).max()),
    "lowest": (rolling.extreme(VALUES, WINDOW, np.minimum), SERIES.rolling(WINDOW).min()),
    "lagged": (rolling.lagged(VALUES, WINDOW), SERIES.shift(WINDOW)),
    "covariance": (
        rolling.covariance(VALUES, VALUES**2, WINDOW),
        SERIES.rolling(WINDOW).cov(SERIES**2, ddof=0),
    ),
}

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda x: rolling.mean(x, WINDOW),
    "deviation": lambda x: rolling.deviation(x, WINDOW),
    "absolute_deviation": lambda x: rolling.absolute_deviation(x, WINDOW),
    "covariance": lambda x: rolling.covariance(x, x**2, WINDOW),
    "extreme": lambda x: rolling.extreme(x, WINDOW, np.maximum),
    "bars_since": lambda x: rolling.bars_since(x, WINDOW, np.minimum),
    "exponential": lambda x: rolling.exponential(x, 0.5),
}


@pytest.mark.parametrize("name", AGAINST_PANDAS)
def test_equal_to_pandas(name: str) -> None:
    ours, theirs = AGAINST_PANDAS[name]
    np.testing.assert_allclose(ours, theirs.to_numpy(), rtol=1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_start_of_the_frame_leaves_no_trace(name: str) -> None:
    function = FUNCTIONS[name]
    whole = function(VALUES)
    for start in (1, 100, 333):
        part = function(VALUES[start:])
        assert part[30:].tobytes() == whole[start + 30 :].tobytes()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_short_series_are_nan(name: str, rows: int) -> None:
    values = FUNCTIONS[name](VALUES[:rows])
    assert values.shape == (rows,)
    assert np.isnan(values).all()


@pytest.mark.parametrize("decay", [rolling.span_decay(8), rolling.span_decay(26), rolling.wilder_decay(14)])
def test_an_exponential_mean_is_the_recursive_one_to_a_millionth(decay: float) -> None:
    recursive = SERIES.ewm(alpha=1 - decay, adjust=False).mean().to_numpy()
    rows = slice(rolling.memory(decay) - 1, None)
    gap = np.abs(rolling.exponential(VALUES, decay) - recursive)[rows]
    assert gap.max() < 2 * rolling.FORGOTTEN * np.ptp(VALUES)


def test_ties_count_from_the_most_recent() -> None:
    assert rolling.bars_since(np.array([3.0, 1.0, 3.0, 2.0]), 4, np.maximum)[-1] == 1


def test_a_small_denominator_is_neutral_and_nan_stays() -> None:
    found = rolling.ratio(np.ones(4), np.array([2.0, 0.0, np.nan, 1e-9]), floor=1e-6, neutral=7.0)
    np.testing.assert_array_equal(found, [0.5, 7.0, np.nan, 7.0])
