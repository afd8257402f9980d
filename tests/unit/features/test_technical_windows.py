"""Compiled rolling statistics: the bits of the plain ones, and pandas where there is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from betti.features import _rolling as rolling
from betti.features import _windows as windows

VALUES = np.random.default_rng(0).normal(100, 3, 3000)  # more than one stretch
TIED = np.round(VALUES)

TWINS: dict[str, tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]] = {
    name: (getattr(windows, name), getattr(rolling, name))
    for name in ("total", "mean", "deviation", "absolute_deviation")
}


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("window", [1, 2, 17, 200])
@pytest.mark.parametrize("rows", [0, 1, 16, 17, windows.STRETCH, windows.STRETCH + 17, 3000])
def test_the_bits_are_those_of_the_plain_statistic(name: str, window: int, rows: int) -> None:
    ours, plain = TWINS[name]
    assert ours(VALUES[:rows], window).tobytes() == plain(VALUES[:rows], window).tobytes()


@pytest.mark.parametrize("values", [VALUES, TIED], ids=["", "tied"])
def test_bars_since_the_highest(values: np.ndarray) -> None:
    for side in (values, -values):
        assert windows.bars_since_highest(side, 26).tobytes() == rolling.bars_since(side, 26, np.maximum).tobytes()


@pytest.mark.parametrize("decay", [rolling.span_decay(8), rolling.span_decay(34), rolling.wilder_decay(14)])
@pytest.mark.parametrize("row", [63, 64, 1500, 2999])
def test_a_faded_mean_is_the_exponential_one_of_its_window(decay: float, row: int) -> None:
    window = pd.Series(VALUES[row - 63 : row + 1])
    faded = window.ewm(alpha=1 - decay, adjust=True).mean().iloc[-1]
    assert windows.faded(VALUES, decay, 64)[row] == pytest.approx(faded, rel=1e-13)


FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "deviation": lambda x: windows.deviation(x, 17),
    "absolute_deviation": lambda x: windows.absolute_deviation(x, 17),
    "bars_since_highest": lambda x: windows.bars_since_highest(x, 17),
    "faded": lambda x: windows.faded(x, 0.9, 17),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("start", [1, 3, windows.STRETCH - 5, windows.STRETCH + 1])
def test_the_start_of_the_frame_leaves_no_trace(name: str, start: int) -> None:
    function = FUNCTIONS[name]
    part, whole = function(VALUES[start:].copy()), function(VALUES)
    assert part[16:].tobytes() == whole[start + 16 :].tobytes()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("rows", [0, 1, 16])
def test_short_series_are_nan(name: str, rows: int) -> None:
    found = FUNCTIONS[name](VALUES[:rows])
    assert found.shape == (rows,)
    assert np.isnan(found).all()
