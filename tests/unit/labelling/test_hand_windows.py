"""Windows labelled by hand: read from files, placed among bars, refused where they cannot be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti import labelling
from betti.errors import BadParam, MissingFile, UnreadableFile
from betti.labelling.expansion import HandWindow, read_windows, sequences
from tests.conftest import random_bars

BARS = random_bars(400)
TEXT = """symbol,window_start,expansion_start,expansion_end,type
AAA,2001-02-10,50,65,consolidation
AAA,2001-03-01,2001-04-20,2001-05-01,2
BBB,2001-03-01,10,20,retracement
AAA,2001-04-01,,,
AAA,2001-05-01,118,,1
"""


@pytest.fixture
def read(tmp_path):
    def written(text: str = TEXT, name: str = "windows.csv"):
        (tmp_path / name).write_text(text)
        return read_windows(tmp_path / name)

    return written


def labelled(*windows: HandWindow, bars: pd.DataFrame = BARS, **knobs) -> pd.DataFrame:
    return labelling.label("expansion", bars, windows=windows, **knobs)


def test_a_file_becomes_rows_of_the_windows_it_names(read):
    labels = labelled(*read())
    stamps = BARS["timestamp"].dt.strftime("%m-%d").tolist()
    starts = [stamps.index(day) for day in ("02-10", "03-01", "04-01", "05-01")]
    assert labels["timestamp"].tolist() == BARS["timestamp"].iloc[[start + 104 for start in starts]].tolist()
    assert labels["span_start"].tolist() == BARS["timestamp"].iloc[starts].tolist()
    np.testing.assert_array_equal(labels["start"], [50, 50, np.nan, 118])
    np.testing.assert_array_equal(labels["end"], [65, 61, np.nan, np.nan])
    np.testing.assert_array_equal(labels["type"], [0, 2, np.nan, 1])
    assert labels["expansion"].tolist() == [1, 1, 0, 0] and labels["ahead"].tolist() == [0, 0, 0, 1]
    assert labels["span_end"].tolist()[3] == BARS["timestamp"][starts[3] + 118]
    found = sequences(labels)
    assert found.mask[0].sum() == 16 and found.countdown[0, [45, 50, 55]].tolist() == [5, 0, -5]
    assert found.countdown[3, 104] == 14


def test_csv_and_parquet_say_the_same(read, tmp_path):
    table = pd.DataFrame(
        {
            "symbol": ["AAA", "BBB"],
            "window_start": pd.to_datetime(["2001-02-10", "2001-03-01"], utc=True),
            "expansion_start": [50.0, np.nan],
            "expansion_end": [65.0, np.nan],
            "type": [0.0, np.nan],
        }
    )
    table.to_parquet(tmp_path / "windows.parquet")
    first, second = read_windows(tmp_path / "windows.parquet")
    by_text = read()[0]
    pd.testing.assert_frame_equal(labelled(first), labelled(by_text))
    assert second == HandWindow("BBB", "2001-03-01 00:00:00+00:00")


def test_params_yaml_may_hold_them():
    block = {"symbol": "AAA", "window_start": "2001-02-10", "expansion_start": 50, "expansion_end": 65}
    labels = labelling.label("expansion", BARS, windows=[block])
    assert len(labels) == 1 and np.isnan(labels["type"][0])
    with pytest.raises(BadParam, match="windows"):
        labelling.label("expansion", BARS, windows=[block | {"type": "breakout"}])


def test_an_expansion_that_goes_on_after_the_window_or_began_before_it():
    cut, begun = HandWindow("AAA", "2001-02-10", 90, 110), HandWindow("AAA", "2001-03-10", -4, 6)
    labels = labelled(cut, begun)
    assert labels[["start", "end", "censored"]].iloc[0].tolist() == [90, 104, 1]
    assert labels[["start", "end", "begun", "censored"]].iloc[1].tolist() == [-4, 6, 1, 0]
    assert labels["span_end"][0] == BARS["timestamp"][40 + 110]
    assert sequences(labels).mask.sum(axis=1).tolist() == [15, 7]


def test_a_window_whose_bars_are_not_all_there_has_no_row():
    last = HandWindow("AAA", str(BARS["timestamp"][400 - 105]), 50, 60)
    beyond = HandWindow("AAA", str(BARS["timestamp"][400 - 104]), 50, 60)
    ahead = HandWindow("AAA", str(BARS["timestamp"][400 - 110]), 112)
    assert labelled(last, beyond, ahead)["timestamp"].tolist() == [BARS["timestamp"][399]]
    assert labelled(last, bars=BARS.iloc[:399]).empty
    assert labelled(HandWindow("AAA", "1990-01-01", 50, 60)).empty


def test_slices_within_reach_give_the_rows_that_all_bars_give(read):
    windows = read()
    back, ahead = labelling.reach("expansion", windows=windows)
    labels = labelled(*windows)
    for _, row in labels.iterrows():
        t = int(np.flatnonzero(BARS["timestamp"] == row["timestamp"])[0])
        part = labelled(*windows, bars=BARS.iloc[max(0, t - back) : t + ahead + 1].reset_index(drop=True))
        mine = part[part["timestamp"] == row["timestamp"]].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, row.to_frame().T.reset_index(drop=True).astype(mine.dtypes))


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (HandWindow("AAA", "2001-02-10 05:00"), "no bar at this window_start"),
        (HandWindow("AAA", "in spring"), "window_start is no time"),
        (HandWindow("AAA", "2001-02-10", "2001-03-10 05:00", 60), "no bar at this expansion_start"),
        (HandWindow("AAA", "2001-02-10", 60, 50), "ends before it starts"),
        (HandWindow("AAA", "2001-02-10", 60), "one end"),
        (HandWindow("AAA", "2001-02-10", None, 60), "one end"),
        (HandWindow("AAA", "2001-02-10", -8, -2), "ends before the window"),
        (HandWindow("AAA", "2001-02-10", -60, 5), "more than 40 bars outside"),
        (HandWindow("AAA", "2001-02-10", 100, 190), "more than 40 bars outside"),
    ],
)
def test_windows_that_cannot_be_are_refused(window, words):
    with pytest.raises(BadParam, match=words):
        labelled(window)


def test_a_window_that_is_there_twice_is_refused():
    with pytest.raises(BadParam, match="twice"):
        labelled(HandWindow("AAA", "2001-02-10", 5, 9), HandWindow("AAA", "2001-02-10 00:00"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("symbol,window_start\nAAA,2001-01-01\n", "no column expansion_start, expansion_end, type"),
        (TEXT + "AAA,,1,2,0\n", "row 6 has no symbol or no window_start"),
        (TEXT + "AAA,2001-06-01,1,2,breakout\n", "row 6 has the type 'breakout'"),
        (TEXT + "AAA,2001-06-01,1,2,7\n", "row 6 has the type '7'"),
        ("", "No columns"),
    ],
)
def test_files_that_are_no_such_table_are_refused(read, text, words):
    with pytest.raises(UnreadableFile, match=words):
        read(text)


def test_a_file_that_is_absent_or_no_parquet_is_refused(read, tmp_path):
    with pytest.raises(MissingFile):
        read_windows(tmp_path / "none.csv")
    with pytest.raises(UnreadableFile):
        read(TEXT, "windows.parquet")
