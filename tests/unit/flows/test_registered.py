"""`betti features`: families, columns with unit and source, sets, and cost on demand."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner, Result

from betti import features
from betti.errors import UnknownName
from flows import cli, registered


def called(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["features", *words], env={"COLUMNS": "400", "TERM": "dumb", "NO_COLOR": "1"})


def line(result: Result, start: str) -> str:
    """The first table row that begins with these words: families stand before sets, and one of each is `context`."""
    return str(re.findall(rf"^\W*{re.escape(start)}\s.*$", result.output, flags=re.M)[0])


def test_every_family_is_listed_with_its_look_back_columns_and_sets() -> None:
    result = called()
    assert result.exit_code == 0, result.output
    for name, family in features.families().items():
        assert str(len(family.columns)) in line(result, name)
    assert "263" in line(result, "technical")
    assert "boosting_optimal" in result.output
    rsi = line(result, "technical__ rsi_*")
    assert [word for word in ("2", "0..100", "Wilder 1978") if word not in rsi] == []
    assert "s per million bars" not in result.output


def test_one_family_is_shown_alone() -> None:
    result = called("complexity")
    assert "complexity__ price_efficiency" in result.output
    assert "technical" not in result.output
    assert "boosting_optimal" not in result.output


def test_cost_is_measured_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "COST_BARS", (200, 400))
    rows: list[int] = []

    def timed(family: features.FeatureFamily, bars: object) -> float:
        rows.append(len(bars))  # type: ignore[arg-type]
        return 0.25 if len(bars) == 400 else 0.1  # type: ignore[arg-type]

    monkeypatch.setattr(registered, "_timed", timed)
    result = called("complexity", "--cost")
    assert rows == [200, 400]
    assert "s per million bars" in result.output
    assert "625" in line(result, "complexity")  # 0.25 s for 400 bars


def test_a_slow_family_is_measured_on_few_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "COST_BARS", (200, 400))
    monkeypatch.setattr(registered, "_timed", lambda family, bars: 2.0 if len(bars) == 200 else 1 / 0)
    assert "1e+04" in line(called("complexity", "--cost"), "complexity")


def test_the_clock_runs() -> None:
    from betti import probes

    assert 0 < registered._timed(features.family("complexity"), probes.walk(100)) < 60


def test_an_unknown_family_is_named() -> None:
    assert isinstance(called("techincal").exception, UnknownName)
