"""Topology through time: what is cut away, what is kept, and which bars are marked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.charts import topology
from betti.charts import topology_tracks as tracks
from tests.unit.charts import samples

CLEAN = samples.bars(300)
TABLE = samples.topology(CLEAN)
NONE = pd.DataFrame({"start": [], "end": []})


def triggers(on: list[bool], symbol: str = "AAA") -> pd.DataFrame:
    times = pd.date_range("2001-01-01", periods=len(on), freq="1h", tz="UTC")
    return pd.DataFrame(
        {
            "timestamp": times, "symbol": symbol, "span_start": times, "span_end": times,
            "trigger": np.array(on, dtype=float), "max_pct": 1.0, "weight": 1.0,
        }
    )  # fmt: skip


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.lists(st.booleans(), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_stretches_hold_exactly_the_bars_that_fire(one: list[bool], two: list[bool]):
    tables = [triggers(one, "AAA"), triggers(two, "BBB")]
    found = tracks.fired("t", pd.concat(tables).sample(frac=1, random_state=1))
    assert found is not None
    assert (found.bars, found.labelled) == (sum(one) + sum(two), len(one) + len(two))
    for table in tables:
        mine = found.stretches[found.stretches["symbol"] == table["symbol"].iloc[0]]
        inside = np.zeros(len(table), dtype=bool)
        for start, end, bars in zip(mine["start"], mine["end"], mine["bars"], strict=True):
            covered = (table["timestamp"] >= start) & (table["timestamp"] < end)
            # The last bar of all has none after it, so its stretch ends where it starts.
            covered |= (table["timestamp"] == end) & (end == table["timestamp"].iloc[-1]) & (table["trigger"] == 1)
            assert covered.sum() == bars
            assert not (inside & covered).any()
            inside |= covered
        np.testing.assert_array_equal(inside, table["trigger"] == 1)


def test_only_a_trigger_is_marked():
    assert tracks.fired("d", samples.labels(CLEAN, 3)) is None
    assert tracks.fired("d", pd.DataFrame({"timestamp": [], "symbol": [], "weight": []})) is None


@given(st.integers(1, 80), st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_shades_hold_every_hole_of_the_known_bars(rows: int, columns: int, seed: int):
    rng = np.random.default_rng(seed)
    betti = rng.poisson(0.7, (rows, 9)).astype(float)
    betti[:, 6:] = 0
    betti[rng.random(rows) < 0.2] = np.nan
    times = 1e12 + 1000.0 * np.arange(rows)
    found = tracks.heat(times, betti, columns)
    assert found.counts.shape[1] <= columns
    assert len(found.edges) == found.counts.shape[1] + 1
    assert (np.diff(found.edges) > 0).all()
    owner = np.searchsorted(found.edges, times, side="right") - 1
    for column in range(found.counts.shape[1]):
        mine = betti[owner == column]
        mine = mine[np.isfinite(mine[:, 0])]
        if len(mine) == 0:
            assert np.isnan(found.counts[:, column]).all()
        else:
            np.testing.assert_allclose(found.counts[:, column], mine.mean(axis=0)[found.levels])
            assert (np.delete(mine, found.levels, axis=1) == 0).all()


def test_a_fine_grid_is_thinned_and_a_coarse_one_is_not():
    times = np.arange(5.0)
    assert len(tracks.heat(times, np.ones((5, 1000)), 5).levels) == 100
    assert tracks.heat(times, np.ones((5, 100)), 5).levels.tolist() == list(range(100))


def test_lines_are_short_and_keep_their_extremes():
    for track in tracks.tracks(TABLE, CLEAN, 100):
        mine = TABLE[TABLE["symbol"] == track.symbol]
        for line, name in zip(track.lines, tracks.LINES, strict=True):
            whole = mine[f"topology__{name}"].to_numpy(dtype=float)
            assert len(line.times) <= 100 < len(whole)
            assert np.nanmax(line.values) == np.nanmax(whole)
            assert np.nanmin(line.values) == np.nanmin(whole)
        assert track.close.values.max() == CLEAN.loc[CLEAN["symbol"] == track.symbol, "close"].max()
        assert (track.rows, track.known, track.bins) == (len(mine), len(mine) - 20, 12)


def test_columns_that_are_unknown_or_absent_leave_the_others_drawn():
    track = tracks.tracks(TABLE.drop(columns="topology__entropy_h1"), CLEAN, 100)[0]
    assert np.isnan(track.lines[1].values).all()
    figure = topology.panels(track, NONE, "step")
    assert np.isfinite(figure.data[1].y).any() and np.isnan(figure.data[2].y).all()
    no_curves = TABLE.drop(columns=[name for name in TABLE.columns if "betti1" in name])
    drawn = topology.panels(tracks.tracks(no_curves, CLEAN, 100)[0], NONE, "step")
    assert not [trace for trace in drawn.data if trace.type == "heatmap"]


def test_every_panel_marks_every_stretch_at_its_time():
    on = [False, True, True, False, False, True, False]
    marks = tracks.fired("t", triggers(on))
    assert marks is not None
    figure = topology.panels(tracks.tracks(TABLE, CLEAN, 100)[0], marks.stretches, "step")
    bands = [trace for trace in figure.data if trace.type == "bar"]
    assert len(bands) == len(topology.HEIGHTS)
    hour, start = 3_600_000.0, pd.Timestamp("2001-01-01", tz="UTC").timestamp() * 1000
    for band in bands:
        np.testing.assert_allclose(np.asarray(band.x) - np.asarray(band.width) / 2 - start, [hour, 5 * hour])
        np.testing.assert_allclose(band.width, [2 * hour, hour])


def test_a_known_grid_gives_the_heat_map_filtration_values():
    track = tracks.tracks(TABLE, CLEAN, 100)[0]
    assert track.heat is not None
    steps, values = (
        next(t for t in topology.panels(track, NONE, "", scale).data if t.type == "heatmap").y for scale in (1.0, 0.25)
    )
    np.testing.assert_allclose(steps, track.heat.levels)
    np.testing.assert_allclose(values, track.heat.levels / 4)
    told = topology.section([track], None, filtration_max=2.0).body
    assert "filtration value" in told and "filtration step of 12" not in told
    assert "filtration step of 12" in topology.section([track], None).body


@pytest.mark.parametrize("price", [-5.0, 1e-9, 1e9])
def test_any_price_has_an_axis(price: float):
    track = tracks.tracks(TABLE, CLEAN.assign(close=price), 100)[0]
    figure = topology.panels(track, NONE, "step")
    assert {axis.type for axis in figure.select_yaxes(row=1, col=1, secondary_y=True)} == {
        "linear" if price < 0 else "log"
    }


def test_prices_over_decades_have_round_ticks():
    ticks = topology._price_axis(np.array([90.0, 4000.0]))["tickvals"]
    assert [tick for tick in ticks if 90 <= tick <= 4000] == pytest.approx([100, 200, 500, 1000, 2000])


def test_the_section_says_why_nothing_is_marked_or_shown():
    found = tracks.tracks(TABLE, CLEAN, 100)
    assert "no target is a trigger" in topology.section(found, None).body
    assert "not declared" in topology.section(None, None).body
    nothing = tracks.fired("t", triggers([True]).assign(trigger=np.nan))
    assert "has no label" in topology.section(found, nothing).body
    unknown = tracks.tracks(TABLE.assign(**{n: np.nan for n in TABLE.columns if "__" in n}), CLEAN, 100)
    said = topology.section(unknown, None).body
    assert said.count("None of the") == 2 and "fig-topology" not in said


def test_more_symbols_than_a_page_holds_are_counted():
    symbols = tuple(f"S{k:02d}" for k in range(topology.MOST_SYMBOLS + 3))
    clean = samples.bars(40, symbols)
    section = topology.section(tracks.tracks(samples.topology(clean), clean, 100), None)
    assert f"first {topology.MOST_SYMBOLS} of {len(symbols)}" in section.body
    assert [name for _, name in section.entries] == list(symbols[: topology.MOST_SYMBOLS])


@given(st.tuples(*[st.integers(0, 10**7)] * 3))
def test_the_engine_sentence_accounts_for_every_cloud(counts: tuple[int, int, int]):
    said = topology.engine_words(*counts)
    if sum(counts) == 0:
        assert said == "No cloud was computed."
    else:
        words = [int(word.strip(",.").replace(",", "")) for word in said.split() if word[0].isdigit()]
        assert words == [sum(counts), *counts]


def test_the_section_tells_the_engine_counts_it_is_given():
    found = tracks.tracks(TABLE, CLEAN, 100)
    told = topology.engine_words(7, 2, 1)
    assert told in topology.section(found, None, counts=topology.EngineCounts(7, 2, 1)).body
    assert "algorithm" not in topology.section(found, None).body


def test_inputs_are_not_changed():
    labels = triggers([True, False, True])
    before = [table.copy() for table in (TABLE, CLEAN, labels)]
    marks = tracks.fired("t", labels)
    topology.section(tracks.tracks(TABLE, CLEAN, 100), marks)
    for table, kept in zip((TABLE, CLEAN, labels), before, strict=True):
        pd.testing.assert_frame_equal(table, kept)
