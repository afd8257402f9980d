"""Files of headlines, policy events and macro values: columns, days and zones, and what is wrong with a file."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from betti import counts
from betti.context import BadContext, _lags, headlines, macro, policy
from betti.errors import BadInput, BadParam, MissingFile, UnknownName, UnreadableFile
from tests.unit.context.made import utc

LAST = pd.Timedelta(1, "us")


def text(folder: Path, content: str, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def stamps(values: pd.Series) -> list[str]:
    return [str(value).replace("+00:00", "").replace(" 00:00:00", "") for value in values]


# --- times and zones


@pytest.mark.parametrize(
    ("written", "timezone", "known"),
    [
        ("2024-01-05", None, "2024-01-06 04:59:59.999999"),  # the end of the day in New York, winter and summer
        ("2024-07-05", None, "2024-07-06 03:59:59.999999"),
        ("2024-03-10", None, "2024-03-11 03:59:59.999999"),  # the day of a clock change has 23 hours
        ("2024-11-03", None, "2024-11-04 04:59:59.999999"),
        ("2024-01-05", "UTC", "2024-01-05 23:59:59.999999"),
        ("2024-01-05", "Asia/Tokyo", "2024-01-05 14:59:59.999999"),
        ("2024-01-05 00:00:00", None, "2024-01-06 04:59:59.999999"),
        ("2024-01-05T00:00:00Z", None, "2024-01-06 04:59:59.999999"),
        ("2024-01-05T05:00:00Z", None, "2024-01-06 04:59:59.999999"),  # midnight in New York
        ("2024-01-05 09:30:00", "America/New_York", "2024-01-05 14:30:00"),
        ("2024-01-05 09:30:00+01:00", None, "2024-01-05 08:30:00"),
        ("2024-11-03 01:30:00", "America/New_York", "2024-11-03 06:30:00"),  # the second pass
        ("2024-03-10 02:30:00", "America/New_York", "2024-03-10 07:00:00"),  # the end of the skipped hour
        ("05.01.2024 09:30", "UTC", "2024-01-05 09:30:00"),
        ("1704447000", None, "2024-01-05 09:30:00"),
        ("1704447000000", None, "2024-01-05 09:30:00"),
    ],
)
def test_since_when_a_headline_was_known(tmp_path: Path, written: str, timezone: str | None, known: str) -> None:
    path = text(tmp_path, f"date,title\n{written},Shares rise\n")
    table = headlines.read(path, timezone=timezone, day_first=True)
    assert str(table["released"].iloc[0]) == known + "+00:00"
    assert str(table["released"].dtype) == "datetime64[us, UTC]"


def test_days_and_times_in_one_file(tmp_path: Path) -> None:
    path = text(tmp_path, "date,title\n2024-01-05,a\n2024-01-05 10:00,b\n")
    table = headlines.read(path, timezone="UTC")
    assert stamps(table["released"]) == ["2024-01-05 10:00:00", "2024-01-05 23:59:59.999999"]


def test_a_time_of_day_without_a_zone_is_asked_for(tmp_path: Path) -> None:
    path = text(tmp_path, "date,title\n2024-01-05,a\n2024-01-05 10:00,b\n")
    with pytest.raises(
        BadContext, match=r"2024-01-05 10:00:00 in row 3\)\. Set ingest.context_files.headlines.timezone"
    ):
        headlines.read(path)


@pytest.mark.parametrize("kind", ["date", "naive", "zoned", "text"])
def test_parquet_gives_what_text_gives(tmp_path: Path, kind: str) -> None:
    when = pd.Series(pd.to_datetime(["2024-01-05", "2024-01-06"]))
    column = {"date": when.dt.date, "naive": when, "zoned": when.dt.tz_localize("UTC"), "text": when.astype("str")}[
        kind
    ]
    frame = pd.DataFrame({"title": ["Shares fall", "Shares rise"], "when": column, "unused": [1, 2]})
    frame.to_parquet(tmp_path / "x.parquet")
    frame.assign(when=when.dt.date).to_csv(tmp_path / "x.csv", index=False)
    given: dict[str, Any] = {"columns": {"when": "released"}}
    one, two = (headlines.read(tmp_path / name, **given) for name in ("x.parquet", "x.csv"))
    pd.testing.assert_frame_equal(one, two)


# --- text files


@pytest.mark.parametrize(
    "content",
    [
        "date,title\n2024-01-05,Shares rise\n",
        "\ufeffdate;title\r\n2024-01-05;Shares rise\r\n",
        "Date\tHeadline\tSource\n2024-01-05\tShares rise\tReuters\n\n",
        'Published At,source,TITLE\n2024-01-05,"a, b"," Shares rise "\n',
        "ticker|released|headline\n|2024-01-05|Shares rise\n",
    ],
)
def test_layouts_are_found(tmp_path: Path, content: str) -> None:
    plain = text(tmp_path, content)
    packed = tmp_path / "file.csv.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    for path in (plain, packed):
        table = headlines.read(path)
        assert table.to_numpy().tolist() == [[utc("2024-01-06 04:59:59.999999")[0], "", "Shares rise"]]


def test_a_quoted_text_may_go_on_in_the_next_line(tmp_path: Path) -> None:
    path = text(tmp_path, 'date,title\n2024-01-05,"Shares\nrise"\n2024-13-05,b\n')
    with pytest.raises(BadContext, match="line 4"):
        headlines.read(path)


def test_markets_are_read_or_given(tmp_path: Path) -> None:
    path = text(tmp_path, "date,title,ticker\n2024-01-05,a,AAA\n2024-01-06,b,\n")
    assert headlines.read(path)["symbol"].tolist() == ["AAA", ""]
    assert headlines.read(text(tmp_path, "date,title\n2024-01-05,a\n"), symbol="BBB")["symbol"].tolist() == ["BBB"]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    path = text(tmp_path, "date,title\n2024-01-05,a\n2024-01-05,a\n2024-01-06,a\n2024-01-07,\n")
    table = headlines.read(path)
    assert len(table) == 2
    assert counts.of(table) == {"rows": 4, "repeated": 1, "empty": 1}


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        ("", BadContext, "no header"),
        ("date,title\n", BadContext, "a header and no rows"),
        ("date,text,title\n2024-01-05,a,b\n", BadContext, r"headline may be text, title.*\{text: headline\}"),
        ("date,words\n2024-01-05,a\n", BadContext, r"no column headline \(found: date, words\)"),
        ("date,title\n2024-01-05,a\nyesterday,b\n", BadContext, "'yesterday' in line 3"),
        ("date,title\n2024-01-05,a, b\n", UnreadableFile, "3 cells in 2 columns in line 2"),
        ("date,title\n,b\n", BadContext, "released is NaT in row 2"),
        ("date,title\n01/02/2024,b\n", BadContext, "day or the month first"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, content: str, error: type[BadInput], said: str) -> None:
    path = text(tmp_path, content)
    with pytest.raises(error, match=said) as caught:
        headlines.read(path)
    assert str(path) in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"ingest\.context"):
        headlines.read(tmp_path / "absent.csv")
    for name, content in (
        ("a.csv", b"PK\x03\x04\xff\xfe\x00"),
        ("b.csv.gz", b"\x1f\x8bbroken"),
        ("c.parquet", b"PAR1x"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableFile, match=name):
            headlines.read(tmp_path / name)


@pytest.mark.parametrize("read", [headlines.read, policy.read, macro.read])
def test_a_wrong_option_is_named(tmp_path: Path, read: Callable[..., pd.DataFrame]) -> None:
    path = text(tmp_path, "date,title,event,actual\n2024-01-05,a,b,1\n")
    with pytest.raises(BadParam, match="timezone"):
        read(path, timezone="Mars")
    with pytest.raises(UnknownName, match="columns"):
        read(path, columns={"title": "words"})
    with pytest.raises(BadContext, match="no column 'words'"):
        read(path, columns={"words": "released"})


# --- policy


DECISIONS = "date,event\n2020-01-29,FOMC\n2020-03-15,FOMC\n2020-04-29,FOMC\n"


def test_no_date_is_known_ahead_unless_somebody_says_so(tmp_path: Path) -> None:
    table = policy.read(text(tmp_path, DECISIONS))
    assert table["scheduled_since"].isna().all()
    assert (table["released"] == table["at"]).all()
    assert stamps(table["at"])[0] == "2020-01-30 04:59:59.999999"
    assert table["kind"].unique().tolist() == ["FOMC"]
    assert table[["stance", "urgency", "impact"]].isna().all(axis=None)


def test_dates_are_known_ahead_but_for_those_that_came_unannounced(tmp_path: Path) -> None:
    table = policy.read(text(tmp_path, DECISIONS), notice_days=100, unscheduled=("2020-03-15",), time_of_day="14:00")
    assert stamps(table["at"]) == ["2020-01-29 19:00:00", "2020-03-15 18:00:00", "2020-04-29 18:00:00"]
    assert stamps(table["scheduled_since"]) == ["2019-10-21 19:00:00", "NaT", "2020-01-20 18:00:00"]


def test_what_the_file_says_of_an_event_stands(tmp_path: Path) -> None:
    path = text(
        tmp_path,
        "date,announced,known since,type,stance,urgency,sector impact,ticker\n"
        "2024-03-20,2024-03-20 18:00,2023-07-01,rates,-0.5,0.2,,\n"
        "2024-06-01,,2024-01-01,tariffs,,,,AAA\n",
    )
    table = policy.read(path, timezone="UTC", notice_days=5)
    assert stamps(table["released"]) == ["2024-03-20 18:00:00", "NaT"]
    assert stamps(table["scheduled_since"]) == ["2023-07-01 23:59:59.999999", "2024-01-01 23:59:59.999999"]
    assert table["kind"].tolist() == ["rates", "tariffs"]
    assert table["symbol"].tolist() == ["", "AAA"]
    np.testing.assert_equal(table["stance"].tolist(), [-0.5, np.nan])


@pytest.mark.parametrize(
    ("content", "options", "error", "said"),
    [
        ("date,stance\n2024-01-05,2\n", {}, BadContext, "stance is 2.0 in row 2. It takes -1 to 1"),
        ("date,stance\n2024-01-05,hawkish\n", {}, BadContext, "stance is 'hawkish' in line 2"),
        ("date,known since\n2024-01-05,2024-02-01\n", {}, BadContext, "row 2 is scheduled since 2024-02-02"),
        (DECISIONS, {"unscheduled": ("2020-03-16",)}, BadParam, "no event.*takes place on that day"),
        (DECISIONS, {"unscheduled": ("March 15",)}, BadParam, "2020-03-15"),
    ],
)
def test_what_is_wrong_with_events_is_said(
    tmp_path: Path, content: str, options: dict[str, Any], error: type[BadInput], said: str
) -> None:
    with pytest.raises(error, match=said):
        policy.read(text(tmp_path, content), **options)


# --- macro


def test_releases_with_their_times(tmp_path: Path) -> None:
    path = text(
        tmp_path,
        "release_time,event,period,actual,forecast,previous\n"
        "2025-01-15 13:30:00+00:00,US_CPI_YOY,Dec,2.9%,2.8%,2.7%\n"
        "2025-02-12 13:30:00+00:00,US_CPI_YOY,Jan,3.0%,,2.9%\n",
    )
    table = macro.read(path)
    assert stamps(table["released"]) == ["2025-01-15 13:30:00", "2025-02-12 13:30:00"]
    assert stamps(table["observed"]) == ["2024-12-01", "2025-01-01"]
    np.testing.assert_equal(table[["value", "forecast", "previous"]].to_numpy(), [[2.9, 2.8, 2.7], [3.0, np.nan, 2.9]])
    assert "lagged" not in counts.of(table)


def test_values_without_a_release_wait_for_their_lag(tmp_path: Path) -> None:
    path = text(
        tmp_path,
        "date,series,value\n2024-01-01,CPIAUCSL,308.4\n2024-01-02,DGS10,.\n2024-01-03,DGS10,3.9\n"
        "2024-01-01,NOBODY,1\n2024-01-01,MINE,1\n",
    )
    table = macro.read(path, lags={"MINE": 2}).set_index("series")
    assert (
        {name: str(table["released"][name])[:10] for name in table.index}
        == {
            "CPIAUCSL": "2024-03-02",  # 60 days later, at the end of that day in New York
            "DGS10": "2024-01-09",
            "NOBODY": str(pd.Timestamp("2024-01-02") + pd.Timedelta(days=_lags.LONGEST))[:10],
            "MINE": "2024-01-04",
        }
    )
    assert set(table["released"].dt.strftime("%H:%M:%S.%f")) <= {"03:59:59.999999", "04:59:59.999999"}
    assert counts.of(macro.read(path)) == {"rows": 5, "empty": 1, "repeated": 0, "lagged": 4}


def test_a_closed_government_publishes_later(tmp_path: Path) -> None:
    """The employment situation of September 2025 came out on 2025-11-20, that of September 2013 on 2013-10-22."""
    path = text(tmp_path, "date,PAYEMS,DGS10\n2013-09-01,136000,2.8\n2025-09-01,159600,4.1\n2024-09-01,159000,3.7\n")
    out = macro.read(path).set_index(["series", "observed"])["released"].unstack(0)
    assert (out["PAYEMS"] >= utc("2013-10-22 12:30", "2024-10-04 12:30", "2025-11-20 13:30").to_numpy()).all()
    waits = out["PAYEMS"] - out.index
    assert waits.iloc[1] < min(waits.iloc[0], waits.iloc[2])
    assert (out["DGS10"] - out.index < pd.Timedelta(days=7)).all()


def test_no_lag_is_shorter_than_its_period() -> None:
    monthly = {name for name, lag in _lags.LAGS.items() if lag.agency and name not in ("ICSA", "GDP", "GDPC1")}
    assert monthly and all(_lags.LAGS[name].days > 31 for name in monthly)
    assert all(lag.days >= 1 and lag.source for lag in _lags.LAGS.values())
    assert max(lag.days for lag in _lags.LAGS.values()) == _lags.LONGEST > 92


def test_a_column_per_series(tmp_path: Path) -> None:
    path = text(tmp_path, "observation_date,DGS10,DGS2\n2024-01-03,3.9,4.3\n2024-01-04,4.0,\n")
    table = macro.read(path)
    assert sorted(zip(table["series"], table["value"], strict=True)) == [("DGS10", 3.9), ("DGS10", 4.0), ("DGS2", 4.3)]


def test_one_series_by_its_name(tmp_path: Path) -> None:
    path = text(tmp_path, "date,value\n2024-01-03,3.9\n")
    with pytest.raises(BadContext, match=r"Name the series in ingest.context_files.macro.series"):
        macro.read(path)
    assert macro.read(path, series="DGS10")["series"].tolist() == ["DGS10"]
    assert macro.read(path, series="ten", names={"ten": "DGS10"})["series"].tolist() == ["DGS10"]


def test_vintages_are_kept_apart(tmp_path: Path) -> None:
    path = text(
        tmp_path,
        "realtime_start,date,series_id,value\n2024-01-05 13:30Z,2023-12-01,PAYEMS,216\n"
        "2024-02-02 13:30Z,2023-12-01,PAYEMS,333\n2024-02-02 13:30Z,2024-01-01,PAYEMS,353\n",
    )
    table = macro.read(path)
    assert table["value"].tolist() == [216, 333, 353]
    assert stamps(table["observed"]) == ["2023-12-01", "2023-12-01", "2024-01-01"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("date,series,value\n2024-01-03,A,high\n", "value is 'high' in line 2"),
        ("series,value\nA,1\n", "no column observed or released"),
        (
            "date,series,value\n2024-01-03,A,1\n2024-01-03,A,2\n",
            r"rows 2 and 3 give two values of value \(1.0 and 2.0\)",
        ),
        ("released,date,series,value\n2024-01-03,2024-02-01,A,1\n", "row 2 is released .* before the period"),
        ("date\n2024-01-03\n", "no column value"),
    ],
)
def test_what_is_wrong_with_values_is_said(tmp_path: Path, content: str, said: str) -> None:
    path = text(tmp_path, content)
    with pytest.raises(BadContext, match=said) as caught:
        macro.read(path)
    assert str(path) in str(caught.value)
