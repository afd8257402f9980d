"""`betti check`: the exit code, what it says, and files of the user's own."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from betti import causality, io, probes, progress, schemas
from betti.causality import ProbeFailed, TooFewBars
from betti.errors import BadBars, BadInput, BadParam, MissingFile, PartUnavailable, UnknownName, UnreadableFile
from betti.features import NotAFamily
from flows import checking, cli

FAMILY = """
from __future__ import annotations
from dataclasses import dataclass
import pandas as pd

COLUMNS = ("x", "honest")

@dataclass(frozen=True)
class Shift:
    bars: int

def lookback(*, window: int = {back}) -> int:
    return window

def compute(bars: pd.DataFrame, *, window: int = {back}) -> pd.DataFrame:
    x = {x}
    return pd.DataFrame({{"x": x, "honest": bars["close"] / bars["open"]}}, index=bars.index)
"""


@pytest.fixture(autouse=True)
def fewer_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of bars take ten seconds."""
    monkeypatch.setattr(checking, "MOST_BARS", 20)


def called(*words: object) -> Result:
    return CliRunner().invoke(
        cli.app, ["check", *map(str, words)], env={"COLUMNS": "250", "TERM": "dumb", "NO_COLOR": "1"}
    )


def said(result: Result) -> str:
    return re.sub(r"\s+", " ", result.output)


def made(folder: Path, x: str, back: int = 5) -> Path:
    path = folder / "my_family.py"
    path.write_text(FAMILY.format(x=x, back=back))
    return path


def written(path: Path, bars: pd.DataFrame) -> Path:
    io.table_bytes_to(path, bars, schemas.BARS)
    return path


# --- what is found


def test_a_leak_costs_exit_code_1_and_is_named_with_its_bar(tmp_path: Path) -> None:
    family = made(tmp_path, 'bars["close"].shift(-2)')
    result = called("lookahead", family, "--times", 20)
    assert result.exit_code == 1
    bars = probes.walk(26)
    words = ["my_family__x", f"{bars['timestamp'].iloc[5]:%Y-%m-%d %H:%M} (row 5)", "2 or more", "1 of 2 columns leak"]
    assert [word for word in words if word not in said(result)] == []
    assert "my_family__honest" not in result.output


def test_no_leak_costs_nothing_and_says_what_was_shown(tmp_path: Path) -> None:
    result = called("lookahead", made(tmp_path, 'bars["close"].diff()'), "--times", 20)
    assert result.exit_code == 0, result.output
    assert "no leak found in 2 columns; 26 bars, cut off and turned around after every one, " in said(result)
    assert "in 5 other ways after every one." in said(result)
    assert "each value is what could be computed when its bar closed" in said(result)
    assert "The bars are made up" in said(result)


MADE_UP = checking.MOST_BARS


def test_made_up_bars_are_weeks_of_every_hour_and_weekday() -> None:
    times = probes.walk(MADE_UP)["timestamp"]
    assert times.iloc[-1] - times.iloc[0] > pd.Timedelta(days=21)
    assert (times.dt.dayofweek * 24 + times.dt.hour).nunique() == 7 * 24


def test_a_leak_that_begins_late_is_found_with_what_was_tried_by_lot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "MOST_BARS", 200)
    x = '(bars["close"].shift(-1) / bars["close"] - 1).where(pd.RangeIndex(len(bars)) >= 150, 0.0).fillna(0)'
    result = called("lookahead", made(tmp_path, x), "--times", 2)
    assert result.exit_code == 1
    assert "(row 150)" in said(result)
    assert "in 5 other ways after 2 of 200 (by lot)." in said(result)


def test_a_family_that_takes_a_context_gets_one_and_is_found_to_read_later_releases(tmp_path: Path) -> None:
    text = FAMILY.format(x='float(len(context.headlines)) + bars["close"] * 0', back=5)
    (tmp_path / "counting.py").write_text(text.replace("DataFrame, *,", "DataFrame, context=None, *,"))
    result = called("lookahead", tmp_path / "counting.py", "--times", 2)
    assert result.exit_code == 1, result.output
    assert "1 of 2 columns leak" in said(result)
    assert "no later releases" in said(result)
    assert "Headlines, policy and macro are made up" in said(result)


def test_a_registered_family_is_checked_by_name() -> None:
    assert called("lookahead", "complexity", "--times", 5, "--knob", "window=8").exit_code == 0
    assert called("recursive", "complexity", "--knob", "window=8").exit_code == 0


def test_a_table_merged_in_by_time_is_found_on_bars_that_it_covers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "MOST_BARS", 100)
    bars = written(tmp_path / "bars.parquet", probes.walk(80, 3))
    x = f'bars["timestamp"].map(pd.read_parquet("{bars}").set_index("timestamp")["close"].shift(-1))'
    family = made(tmp_path, x)
    result = called("lookahead", family, "--bars", bars, "--times", 3)
    assert result.exit_code == 1
    assert "something outside its bars" in said(result)
    assert "Bars: WALK, 2024-01-01 00:15 to" in said(result)
    assert "made up" not in said(result)


def test_a_short_look_back_costs_exit_code_1_and_says_what_is_enough(tmp_path: Path) -> None:
    result = called("recursive", made(tmp_path, 'bars["close"].rolling(31).mean()', back=10))
    assert result.exit_code == 1
    assert re.search(r"my_family__x .* inf .* inf .* 40 bars", said(result))
    assert "1 of 2 columns need more" in said(result)


def test_a_knob_changes_what_is_declared(tmp_path: Path) -> None:
    family = made(tmp_path, 'bars["close"].rolling(31).max()', back=10)
    assert called("recursive", family).exit_code == 1
    result = called("recursive", family, "--knob", "window=30")
    assert result.exit_code == 0
    assert "look-back 30 bars; it suffices" in said(result)


def test_last_digits_are_told_and_cost_nothing(tmp_path: Path) -> None:
    result = called("recursive", made(tmp_path, 'bars["close"] * (1 + 4e-7 * (len(bars) % 7))'))
    assert result.exit_code == 0
    assert "not to the last digit: my_family__x" in said(result)


# --- bars of the user's own


def test_the_symbol_with_most_bars_is_taken_in_time_order_and_the_last_ones(tmp_path: Path) -> None:
    few, many = probes.walk(30).assign(symbol="FEW"), probes.walk(50, 1).assign(symbol="MANY")
    path = written(tmp_path / "bars.parquet", pd.concat([many.iloc[::-1], few]))
    pd.testing.assert_frame_equal(checking._bars(path, 20), many.iloc[-20:].reset_index(drop=True))


def test_a_folder_of_parts_is_read_whole(tmp_path: Path) -> None:
    bars = probes.walk(40)
    (tmp_path / "bars").mkdir()
    written(tmp_path / "bars" / "1.parquet", bars.iloc[:25])
    written(tmp_path / "bars" / "2.parquet", bars.iloc[25:])
    pd.testing.assert_frame_equal(checking._bars(tmp_path / "bars", 100), bars)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda path: None, MissingFile, "2_clean"),
        (lambda path: path.write_text("no"), UnreadableFile, "is not a readable Parquet file.*2_clean"),
        (lambda path: probes.walk(9).drop(columns="close").to_parquet(path), UnreadableFile, "columns missing: close"),
        (lambda path: written(path, probes.walk(0)), BadBars, "no rows"),
        (lambda path: written(path, probes.walk(4)), TooFewBars, "at least 7"),
    ],
    ids=["missing", "no Parquet", "no close", "empty", "too few"],
)
def test_bars_that_cannot_be_used_are_refused(tmp_path: Path, make: object, error: type, match: str) -> None:
    path = tmp_path / "bars.parquet"
    make(path)  # type: ignore[operator]
    with pytest.raises(error, match=match):
        checking.lookahead(str(made(tmp_path, 'bars["close"]')), path, 5, [])


# --- families of the user's own


def test_a_family_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'technical'"):
        checking.family("techincal")
    with pytest.raises(MissingFile, match="betti features"):
        checking.family(str(tmp_path / "my_family.py"))


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("COLUMNS = ()", NotAFamily, "has no lookback, no compute"),
        ("import no_such_module", PartUnavailable, "ModuleNotFoundError"),
        ("def compute(", PartUnavailable, "SyntaxError"),
    ],
)
def test_a_file_that_is_no_family_says_why(tmp_path: Path, text: str, error: type, match: str) -> None:
    (tmp_path / "odd.py").write_text(text)
    with pytest.raises(error, match=match):
        checking.family(str(tmp_path / "odd.py"))


def test_a_family_that_fails_says_on_what(tmp_path: Path) -> None:
    with pytest.raises(ProbeFailed, match="'my_family' failed on these bars: KeyError: 'news'"):
        checking.lookahead(str(made(tmp_path, 'bars["news"]')), None, 5, [])


@pytest.mark.parametrize("knob", ["window", "=3", "window={"])
def test_a_knob_that_cannot_be_read_is_refused(knob: str) -> None:
    with pytest.raises(BadParam, match="command line: --knob"):
        checking.lookahead("complexity", None, 5, [knob])


def test_an_unknown_knob_is_named() -> None:
    with pytest.raises(BadInput, match="widnow"):
        checking.recursive("complexity", None, ["widnow=3"])


# --- progress


def test_nothing_is_shown_at_first_nor_of_a_familys_own_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    clock = [0.0]
    monkeypatch.setattr(checking.time, "monotonic", lambda: clock[0])
    started: list[str] = []
    monkeypatch.setattr(checking.Progress, "start", lambda bars: started.append(bars.tasks[0].description))
    with checking._telling(Console(force_terminal=True)):
        progress.tell(1, 9, causality.WORK)
        assert started == []
        clock[0] = 6.0
        progress.tell(2, 9, "windows")
        assert started == []
        progress.tell(3, 9, causality.WORK)
        assert started == [causality.WORK]
        progress.tell(4, 9, causality.WORK)
    assert started == [causality.WORK]
