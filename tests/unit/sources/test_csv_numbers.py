"""Numbers as other countries write them: a decimal comma, parted thousands, and refusals of what has two readings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import BadBars, BadParam
from tests.unit.sources.files import assert_bars, read

HEADER = "timestamp;open;high;low;close;volume"


@pytest.fixture
def file(tmp_path: Path):
    """Write rows of five numbers (and a header) to a file and give its path."""

    def write(*rows: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
        lines = [f"2020-01-{day:02}T00:00:00Z;{row}" for day, row in enumerate(rows, 1)]
        (tmp_path / "x.csv").write_bytes("\n".join([header, *lines]).encode(encoding))
        return tmp_path / "x.csv"

    return write


def refused(path: Path, kind: type[Exception] = BadBars, **options: object) -> str:
    with pytest.raises(kind) as caught:
        read("csv", path, **options)
    return str(caught.value)


def prices(path: Path, **options: object) -> list[list[float]]:
    bars = read("csv", path, **options)
    assert_bars(bars, "X", len(bars))
    return bars.iloc[:, 2:].to_numpy().tolist()


# --- found by looking


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_decimal_comma_is_found_where_the_file_means_nothing_else(file, delimiter, caplog):
    path = file("1,5;2,25;0,5;1,75;10", "2;3,5;1,125;2,5;")
    path.write_text(path.read_text().replace(";", delimiter))
    with caplog.at_level("INFO", logger="betti"):
        bars = read("csv", path)
    assert bars.iloc[0, 2:].tolist() == [1.5, 2.25, 0.5, 1.75, 10]
    assert bars.iloc[1, 2:6].tolist() == [2, 3.5, 1.125, 2.5]
    assert "numbers with a decimal comma" in caplog.text


@pytest.mark.parametrize("low", ["0,1", "0,125", "12,3456", ",5", "$0,1"])
def test_one_column_tells_for_all(file, low):
    assert prices(file(f"13;20;{low};1,250;5", f"14;20;{low};1,251;5"))[1][3] == 1.251


@pytest.mark.parametrize(
    "row",
    ["1,234;1,300;1,200;1,250;5", "1,5;2.5;0,5;1,5;10", "1,5;2;1;1;1.000", "1;2;1;1,5x;10", "1,234,567;2;1;1;10"],
    ids=["thousands or not", "both signs", "a point in the volume", "no number", "millions"],
)
def test_what_may_be_two_things_is_refused(file, row):
    assert "in line 2" in refused(file(row))


def test_a_comma_here_and_there_is_a_slip(file):
    said = refused(file("1;2;1;1;10", "1;2;1;1,5;10", "1;2;1;1;10", "1;2;1;1;10"))
    assert "close is '1,5' in line 3. Mend it, or set ingest.options.decimal" in said


def test_a_comma_between_cells_is_no_decimal_one(file):
    path = file(*['"1,5";"2,5";"0,5";"1,5";10'] * 3)
    path.write_text(path.read_text().replace(";", ","))
    assert "open is '1,5' in line 2. Mend it, or set ingest.options.decimal" in refused(path)
    assert prices(path, decimal=",")[0] == [1.5, 2.5, 0.5, 1.5, 10]


def test_a_point_further_down_is_refused_and_not_read_otherwise(file):
    said = refused(file("1,5;2,5;0,5;1,5;10", "1,5;2,5;0,5;1.5;10", "1,5;2,5;0,5;1,5;10"))
    assert "open is '1,5' in line 2" in said, "the first lines have both"
    many = file(*["1,5;2,5;0,5;1,5;10"] * 28, "1,5;2,5;0,5;1.5;10")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("betti.sources._text.HEAD", 5)
        assert "close is '1.5' in line 30" in refused(many)


def test_rows_without_a_header_are_rows_with_a_comma_too(file):
    path = file(*["1,5;2,5;0,5;1,5;10"] * 3)
    path.write_text(path.read_text().partition("\n")[2])
    assert "no header: line 1" in refused(path)
    assert prices(path, names=HEADER.split(";"))[0] == [1.5, 2.5, 0.5, 1.5, 10]


# --- said


@pytest.mark.parametrize(
    ("written", "options", "value"),
    [
        ("1,234", {"decimal": ","}, 1.234),
        ("1,234", {"thousands": ","}, 1234),
        ("1,234,567.5", {"thousands": ","}, 1234567.5),
        ("$1,234.50", {"thousands": ","}, 1234.5),
        ("1.234", {"thousands": "."}, 1234),
        ("1.234", {}, 1.234),
        ("1.234,5", {"thousands": "."}, 1234.5),
        ("1.234,5", {"thousands": ".", "decimal": ","}, 1234.5),
        ("-1.234.567", {"decimal": ",", "thousands": "."}, -1234567),
        ("1 234,5", {"thousands": " "}, 1234.5),
        ("1\u202f234,5", {"thousands": " "}, 1234.5),
        ("1\xa0234,567", {"thousands": " ", "decimal": ","}, 1234.567),
        ("1 234.5", {"thousands": " "}, 1234.5),
        ("1'234.5", {"thousands": "'"}, 1234.5),
        ("1\u2019234.5", {"thousands": "'"}, 1234.5),
        ("1234.5", {"thousands": ","}, 1234.5),
        ("1,5e3", {"decimal": ","}, 1500),
    ],
)
def test_the_options_say_how_numbers_are_written(file, written, options, value):
    assert prices(file(*[f"{written};{written};{written};{written};5"] * 3), **options) == [[value] * 4 + [5]] * 3


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("1,23", {"thousands": ","}),
        ("1,2345", {"thousands": ","}),
        ("12,34,567", {"thousands": ","}),
        ("0,123", {"thousands": ","}),
        (",123", {"thousands": ","}),
        ("1234,567", {"thousands": ","}),
        ("1,234,", {"thousands": ","}),
        ("1,234.567,8", {"thousands": ","}),
        ("1.5", {"decimal": ","}),
        ("1,5", {"decimal": "."}),
        ("1 234.5", {}),
        ("1'234.5", {}),
        ("1.5", {"thousands": "."}),
    ],
)
def test_a_number_written_otherwise_than_said_is_refused(file, written, options):
    said = refused(file("1;2;1;1;5", f"1;2;1;{written};5"), **options)
    assert f"close is {written!r} in line 3. Mend it, or set ingest.options.decimal or ingest.options.thousands" in said


def test_one_sign_does_not_part_thousands_and_the_fraction(file):
    for sign in ",.":
        assert "decimal sign too" in refused(file("1;2;1;1;5"), BadParam, decimal=sign, thousands=sign)


@pytest.mark.parametrize("option", [{"decimal": "x"}, {"thousands": ";"}])
def test_other_signs_are_refused(file, option):
    refused(file("1;2;1;1;5"), BadParam, **option)


def test_an_export_from_france(file):
    """Spaces that do not break a line, in the encoding of that desktop."""
    path = file(*["1\xa0234,5;1\xa0300,0;1\xa0200,5;1\xa0250,25;5"] * 3, encoding="cp1252")
    assert prices(path, encoding="cp1252", thousands=" ")[0] == [1234.5, 1300, 1200.5, 1250.25, 5]


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.decimals(0, 10**9, places=3), min_size=1, max_size=8),
    signs=st.sampled_from([(",", "."), (".", ","), (",", " "), (".", " "), (".", "'"), (",", None), (".", None)]),
)
def test_what_python_writes_is_read_back(tmp_path_factory, values, signs):
    decimal, thousands = signs
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    exchange = str.maketrans({",": thousands or "", ".": decimal})
    rows = [f"2020-01-{day:02}T00:00:00Z;{f'{v:,.3f}'.translate(exchange)};2;1;1;5" for day, v in enumerate(values, 1)]
    path.write_text("\n".join([HEADER, *rows]))
    bars = read("csv", path, decimal=decimal, thousands=thousands)
    assert bars["open"].tolist() == [float(value) for value in values]
