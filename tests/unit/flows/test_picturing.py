"""`betti topology plot`: the window is the features' own, the page stands alone, and every refusal says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from betti import catalog, io, schemas
from betti.charts.portrait import portrait
from betti.errors import BadParam, MissingArtifact, MissingFile, UnknownName, UnreadableFile
from betti.features import topology as family
from betti.knobs import checked
from flows import cli, picturing
from tests.conftest import REPOSITORY, random_bars

KNOBS = {"window": 40, "delay": 3, "bins": 20, "layers": 3}
HOSTILE = "<b>/x"
DAILY = random_bars(200, 1, "AAA")


def knobs(**changes: object) -> dict:
    return checked(family.compute, {**KNOBS, **changes}, "features.topology")


def irregular() -> pd.DataFrame:
    """Quarter-hours with nights and holes, so that windows end at uneven distances."""
    bars = random_bars(600, 2, "AAA", freq="15min")
    kept = (bars["timestamp"].dt.hour < 19) & (np.random.default_rng(0).random(len(bars)) < 0.9)
    return bars[kept].reset_index(drop=True)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("workspace")
    written = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    written["features"]["topology"] = KNOBS
    (root / "params.yaml").write_text(yaml.safe_dump(written))
    (root / "dvc.yaml").write_text("stages: {}\n")
    bars = pd.concat([DAILY, random_bars(30, 2, "SHORT"), random_bars(90, 3, HOSTILE)])
    io.write_parts(catalog.artifact("clean").at(root), bars, schemas.BARS)
    return root


def plot(root: Path, symbol: str = "AAA", time: str = "2001-05-01", out: str | None = None, here: Path | None = None):
    return picturing.plot(root, symbol, time, here or root, None if out is None else Path(out))


@pytest.mark.parametrize("changes", [{}, {"stride": 7}, {"dimension": 3}, {"backend": "giotto"}], ids=str)
def test_the_numbers_are_those_of_the_feature_row(changes: dict):
    bars, values = irregular(), knobs(**changes)
    table = family.compute(bars, **values)
    for row in (60, 61, 64, 300, len(bars) - 1):
        found = picturing.depicted(bars, bars["timestamp"].iloc[row], values)
        line = table.iloc[row]
        assert found.bar == bars["timestamp"].iloc[row]
        assert found.times.iloc[-1] == bars["timestamp"].iloc[row - int(line.get("age", 0))]
        assert len(found.closes) == values["window"]
        for h in (0, 1):
            np.testing.assert_allclose(found.betti[h], line[[f"betti{h}_{k:03d}" for k in range(20)]].to_numpy())
            assert found.entropies[h] == pytest.approx(line[f"entropy_h{h}"])
            assert found.totals[h] == pytest.approx(line[f"total_h{h}"])
            np.testing.assert_allclose(found.norms[h], line[[f"landscape_h{h}_{k}" for k in (1, 2, 3)]].to_numpy())


def test_the_bar_at_or_last_before_the_time_is_taken_and_nothing_after_it():
    bars, values = irregular(), knobs()
    at, behind = bars["timestamp"].iloc[200], bars["timestamp"].iloc[201]
    for asked in (at, at + pd.Timedelta(minutes=1), behind - pd.Timedelta(microseconds=1)):
        found = picturing.depicted(bars, asked, values)
        assert found.bar == found.times.iloc[-1] == at
        past = picturing.depicted(pd.concat([bars[:201], bars[201:].assign(close=1e6)]), asked, values)
        np.testing.assert_array_equal(found.points, past.points)
    assert picturing.depicted(bars, behind, values).bar == behind


def test_the_page_stands_alone_and_says_which_bar_it_is(workspace: Path, capsys: pytest.CaptureFixture[str]):
    page = plot(workspace, time="2001-05-01T12:00", out="page.html")
    said = capsys.readouterr().out
    assert page == workspace / "page.html"
    assert page.as_uri() in said and page.as_uri().startswith("file:///")
    text = page.read_text()
    scripts = re.findall(r"<script\b[^>]*>(.*?)</script>", text, flags=re.S)
    assert sum(len(script) > 1_000_000 for script in scripts) == 1
    own = re.sub(r"<script\b[^>]*>.*?</script>", "", text, flags=re.S)
    assert not re.search(r"<script[^>]+src=|<link\b|<img[^>]+src=[\"']?http|@import|url\(|<iframe", own + text[:9000])
    assert "Asked for 2001-05-01 12:00 UTC: the last bar of AAA at or before it opened 2001-05-01." in own
    for name, value in knobs().items():
        assert f"<td>{name}</td><td>{value}</td>" in own
    wanted = {"closes", "cloud", "diagram", "barcode", "betti", "landscapes"}
    assert set(re.findall(r'id="fig-(\w+)" class="plot"', own)) == wanted


def test_equal_inputs_give_equal_bytes():
    asked = DAILY["timestamp"].iloc[150]
    assert portrait(picturing.depicted(DAILY, asked, knobs())) == portrait(picturing.depicted(DAILY, asked, knobs()))


def test_a_window_that_never_moved_has_a_page():
    found = picturing.depicted(DAILY.assign(close=5.0), DAILY["timestamp"].iloc[150], knobs())
    assert [len(pairs) for pairs in found.diagrams] == [0, 0]
    assert "0 classes" in portrait(found)


def test_names_are_escaped_on_the_page_and_in_its_file_name(workspace: Path):
    page = plot(workspace, HOSTILE, "2001-03-15")
    assert page.parent == workspace
    assert page.name == "topology-%3Cb%3E%2Fx-2001-03-15.html"
    assert HOSTILE not in page.read_text() and "&lt;b&gt;/x" in page.read_text()


def test_the_command_writes_into_the_current_folder(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    folder = workspace / "inner"
    folder.mkdir()
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(cli.app, ["topology", "plot", "AAA", "2001-05-01 06:30+02:00"])
    assert result.exit_code == 0, result.output
    assert [page.name for page in folder.iterdir()] == ["topology-AAA-2001-05-01T0430.html"]


@pytest.mark.parametrize(
    ("symbol", "time", "error", "said"),
    [
        ("AAB", "2001-05-01", UnknownName, "did you mean 'AAA'"),
        ("_quarantine", "2001-05-01", UnknownName, "unknown symbol"),
        ("AAA", "yesterday", picturing.BadTime, "2008-10-10T14:30"),
        ("AAA", "0001-01-01", picturing.OutsideBars, "2001-01-01 to 2001-07-19"),
        ("AAA", "2000-12-31T23:59", picturing.OutsideBars, "2001-01-01 to 2001-07-19"),
        ("AAA", "2001-07-20", picturing.OutsideBars, "2001-01-01 to 2001-07-19"),
        (
            "AAA",
            "2001-02-08",
            picturing.TooFewBars,
            "39 bars up to 2001-02-08, and a window with its look-back takes 40",
        ),
        ("AAA", "2001-02-08", picturing.TooFewBars, "give 2001-02-09 or later"),
        ("SHORT", "2001-01-20", picturing.TooFewBars, "lower features.topology"),
    ],
)
def test_what_is_asked_for_and_is_not_there(workspace: Path, symbol: str, time: str, error: type, said: str):
    before = set(workspace.iterdir())
    with pytest.raises(error, match=re.escape(said)):
        plot(workspace, symbol, time, out="refused.html")
    assert set(workspace.iterdir()) == before


def test_the_first_bar_it_offers_has_a_window(workspace: Path):
    assert plot(workspace, time="2001-02-09", out="first.html").is_file()


def test_without_clean_bars_it_says_how_to_make_them(tmp_path: Path):
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_text((REPOSITORY / name).read_text())
    with pytest.raises(MissingArtifact, match="betti run --stages validate"):
        plot(tmp_path)
    (catalog.artifact("clean").at(tmp_path) / "_quarantine").mkdir(parents=True)
    with pytest.raises(MissingArtifact, match="betti run --stages validate"):
        plot(tmp_path)


@pytest.mark.parametrize(
    ("features", "error", "said"),
    [
        ({"technical": {}}, UnknownName, "unknown feature family"),
        ({"topology": {"windw": 3}}, UnknownName, "did you mean 'window'"),
        ({"topology": {"window": 10, "delay": 30}}, BadParam, "must be below window"),
    ],
    ids=["family not declared", "misspelt knob", "window too short"],
)
def test_knobs_that_make_no_window(workspace: Path, tmp_path: Path, features: dict, error: type, said: str):
    written = yaml.safe_load((workspace / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**written, "features": features}))
    io.write_parts(catalog.artifact("clean").at(tmp_path), DAILY, schemas.BARS)
    with pytest.raises(error, match=said):
        plot(tmp_path)


def test_a_place_that_cannot_hold_the_page(workspace: Path):
    with pytest.raises(MissingFile, match="Make that folder"):
        plot(workspace, out="nowhere/page.html")
    with pytest.raises(UnreadableFile, match="is a folder"):
        plot(workspace, out=str(workspace))
