"""The picture of regimes: a panel for each market, colours by name, and a caption that counts what is seen."""

from __future__ import annotations

import base64

import numpy as np
import pandas as pd
import pytest

from betti.charts import regimes
from betti.networks.conditioning.regime import REGIMES

START = pd.Timestamp("2010-01-01", tz="UTC")


def numbers(value: object) -> np.ndarray:
    if isinstance(value, dict):
        return np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"])
    return np.asarray(value, dtype=float)


def predictions(symbols: list[str], rows: int = 400, fold: int = 0) -> pd.DataFrame:
    """Days that are normal for a hundred rows, then wild for a hundred, and so on; the rest is never told."""
    wild = np.arange(rows) // 100 % 2 == 1
    tables = []
    for symbol in symbols:
        chances = {f"output_regime_{name}": np.zeros(rows) for name in REGIMES}
        chances["output_regime_high_vol"] = np.where(wild, 0.8, 0.1)
        chances["output_regime_normal"] = np.where(wild, 0.2, 0.9)
        days = pd.date_range(START, periods=rows, freq="1D").as_unit("us")
        tables.append(pd.DataFrame({"timestamp": days, "symbol": symbol, "fold": fold, **chances}))
    return pd.concat(tables, ignore_index=True)


def test_each_symbol_has_a_panel_whose_areas_add_up() -> None:
    drawn = regimes.areas(predictions(["AAA", "BBB"]).sample(frac=1, random_state=0))
    titles = [note.text for note in drawn.figure.layout.annotations]
    assert titles == ["AAA", "BBB"]
    for axis in ("y", "y2"):
        own = [trace for trace in drawn.figure.data if trace.yaxis == axis]
        assert [trace.name for trace in own] == ["normal", "high vol"]
        np.testing.assert_allclose(np.sum([numbers(trace.y) for trace in own], axis=0), 1, rtol=1e-5)
        assert (np.diff(numbers(own[0].x)) > 0).all()
    assert len({trace.stackgroup for trace in drawn.figure.data}) == 2  # each panel is a stack of its own
    assert [trace.showlegend for trace in drawn.figure.data] == [True, True, False, False]


def test_a_regime_has_its_colour_whichever_others_are_seen() -> None:
    table = predictions(["AAA"])
    few = {trace.name: trace.fillcolor for trace in regimes.areas(table).figure.data}
    other = table.assign(output_regime_trending=table["output_regime_normal"], output_regime_normal=0.0)
    many = {trace.name: trace.fillcolor for trace in regimes.areas(other).figure.data}
    assert few["high vol"] == many["high vol"]
    assert set(regimes.COLOURS) == set(REGIMES)
    assert len(set(regimes.COLOURS.values())) == len(REGIMES)


def test_the_caption_counts_what_is_likeliest_and_how_often_it_changes() -> None:
    said = regimes.areas(predictions(["AAA", "BBB"])).caption
    assert "normal 50 %, high vol 50 %" in said
    # Three changes in 399 rows of each; that one symbol begins otherwise than the other ended is none.
    assert "that of the row before in 0.8 % of rows" in said
    assert "Never seen: low vol, mean reverting, trending, illiquid, ssr active, luld active." in said
    assert "each month" in said


def test_folds_do_not_follow_each_other() -> None:
    early, late = predictions(["AAA"], rows=100), predictions(["AAA"], rows=200, fold=1)
    whole = pd.concat([early, late[100:]], ignore_index=True)
    assert "in 0.0 % of rows" in regimes.areas(whole).caption


@pytest.mark.parametrize(("count", "panels"), [(4, 4), (5, 1)])
def test_many_symbols_share_one_panel(count: int, panels: int) -> None:
    figure = regimes.areas(predictions([f"S{number}" for number in range(count)])).figure
    assert len(figure.layout.annotations) == panels
    assert figure.layout.annotations[0].text == ("S0" if panels > 1 else "5 symbols")
