"""Two readers of rows: where the fast one does not decline, it reads what the careful one reads."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.sources._cells import Style, numbers
from betti.sources._columns import Columns
from betti.sources._files import Block
from betti.sources._layout import Layout
from betti.sources._rows import careful, fast

NAMES = ("timestamp", "open", "high")
COLUMNS = Columns((0,), closes=False, symbol=None, values={"open": 1, "high": 2})


def both(text: str, delimiter: str = ",") -> tuple[pd.DataFrame | None, pd.DataFrame]:
    layout = Layout(delimiter, NAMES, 1)
    return fast(Block(text, 1), layout, COLUMNS), careful(Block(text, 1), layout, COLUMNS, "x.csv")


def assert_same(quick: pd.DataFrame, slow: pd.DataFrame, style: Style = Style()) -> None:  # noqa: B008 - frozen
    for name in ("open", "high"):
        expected = numbers(slow[name], "x.csv", name, style).reset_index(drop=True)
        pd.testing.assert_series_equal(quick[name], expected, check_exact=True, check_names=False)
    assert quick["timestamp"].str.strip().tolist() == slow["timestamp"].tolist()


CELL = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(
        ["", "nan", "null", "1.", ".5", "-0", "1e5", "1E-5", " 2", "3 ", "+4", "$5", "1e400", '"6"', '"a""b"']
    ),
    st.text(alphabet='0123456789.-+eE" ', max_size=6),
    st.integers(-(10**25), 10**25).map(str),
)


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5))
def test_what_the_fast_reader_reads_the_careful_one_reads(rows):
    text = "".join(f"t{i},{a},{b}\n" for i, (a, b) in enumerate(rows))
    quick = fast(Block(text, 1), Layout(",", NAMES, 1), COLUMNS)
    if quick is not None:
        assert_same(quick, careful(Block(text, 1), Layout(",", NAMES, 1), COLUMNS, "x.csv"))


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(CELL, CELL, st.booleans()), min_size=1, max_size=5))
def test_with_a_decimal_comma_too(rows):
    cells = [(a.replace(".", ","), b.replace(".", ",") if comma else b) for a, b, comma in rows]
    text, layout = "".join(f"t{i};{a};{b}\n" for i, (a, b) in enumerate(cells)), Layout(";", NAMES, 1)
    quick = fast(Block(text, 1), layout, COLUMNS, Style(","))
    if quick is not None:
        assert_same(quick, careful(Block(text, 1), layout, COLUMNS, "x.csv"), Style(","))


def test_plain_rows_with_a_decimal_comma_take_the_fast_way():
    layout, text = Layout(";", NAMES, 1), "a;1,5;2\nb;3,25;4e3\n"
    assert fast(Block(text, 1), layout, COLUMNS, Style(","))["open"].tolist() == [1.5, 3.25]
    assert fast(Block(text.replace(",", "."), 1), layout, COLUMNS, Style(",")) is None
    assert fast(Block(text, 1), layout, COLUMNS, Style(",", ".")) is None


@pytest.mark.parametrize(
    "text",
    [
        "a,1,2\nb,3.25,4e3\n",
        "a,1,\nb,,4\n",
        '"a","1","2"\n"b","3","4"\n',
        'a,"1",2\n"b",3,"4"\n',
        "a,1,2\n\n\nb,3,4",
    ],
)
def test_plain_rows_take_the_fast_way(text):
    quick, slow = both(text)
    assert quick is not None
    assert_same(quick, slow)


@pytest.mark.parametrize("row", ["b,3", "b,$3,4", "b,x,4", "b,inf,4", 'b,"3\n3",4', "   ", "b, 3,NaN(1)"])
def test_other_rows_are_left_to_the_careful_reader(row):
    assert fast(Block(f"a,1,2\n{row}\n", 1), Layout(",", NAMES, 1), COLUMNS) is None


def test_lines_are_counted_over_empty_ones():
    _, slow = both("a,1,2\n\n ,,\nb,3,4\n")
    assert slow.index.tolist() == [1, 4]
