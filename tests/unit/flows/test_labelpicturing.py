"""`betti labels plot`: the label is the table's own, its barriers are those it was made from, every refusal helps."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from betti import catalog, io, labelling, schemas
from betti.charts.label_portrait import LabelPortrait, label_portrait
from betti.errors import BadParam, MissingArtifact, MissingFile, UnknownName, UnreadableFile
from flows import cli, labelpicturing, picturing
from tests.conftest import REPOSITORY, random_bars

HOSTILE = "<b>/x"
BARS = random_bars(700, 4, "AAA")
TARGETS = {
    "direction_5": {"kind": "direction", "horizon": 5, "upper": 2.0, "lower": 1.0, "measure": "atr"},
    "direction_40": {"kind": "direction", "horizon": 40, "width": 0.8, "measure": "sigma", "both": "drop"},
    "trigger": {"kind": "trigger", "horizon": 8, "threshold": 0.02, "side": "either"},
    "trigger_sigma": {"kind": "trigger", "horizon": 8, "threshold": 0.8, "side": "down", "measure": "sigma"},
    "momentum": {"kind": "meta", "horizon": 10, "profit": 0.6, "stop": 0.4},
    "expansion": {"kind": "expansion", "stride": 3},
    "relevance": {"kind": "relevance"},
}


def labels(target: str, bars: pd.DataFrame = BARS) -> pd.DataFrame:
    block = dict(TARGETS[target])
    return labelling.label(block.pop("kind"), bars, **block)


def depicted(target: str, asked: pd.Timestamp | None = None, bars: pd.DataFrame = BARS) -> LabelPortrait:
    block = dict(TARGETS[target])
    return labelpicturing.depicted(target, block.pop("kind"), block, bars, labels(target), asked)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("workspace")
    written = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    written["targets"], written["runs"] = TARGETS, {}
    (root / "params.yaml").write_text(yaml.safe_dump(written))
    (root / "dvc.yaml").write_text("stages: {}\n")
    bars = pd.concat([BARS, random_bars(3, 2, "SHORT"), random_bars(90, 3, HOSTILE)])
    io.write_parts(catalog.artifact("clean").at(root), bars, schemas.BARS)
    for target in ("direction_5", "expansion", "relevance"):
        io.write_parts(catalog.artifact("labels").at(root, target), labels(target, bars), schemas.LABELS)
    return root


def plot(
    root: Path, target: str = "direction_5", symbol: str = "AAA", time: str = "2001-05-01", out: str | None = None
):
    return labelpicturing.plot(root, target, symbol, time, root, None if out is None else Path(out))


def each(times: pd.Series, depict: Callable[[pd.Timestamp], object]) -> None:
    """Depict the labels at all of these times: one label alone may be the same under other knobs."""
    for time in times:
        depict(time)


def lines(found: LabelPortrait) -> dict:
    return {trace.name: trace for trace in found.drawn.figure.data if trace.name}


def row_of(found: LabelPortrait) -> int:
    return int(found.row["row"])


@pytest.mark.parametrize("target", TARGETS)
def test_the_label_at_or_last_before_the_time_is_taken(target: str):
    table = labels(target)
    at, behind = table["timestamp"].iloc[[100, 101]]
    for asked in (at, behind - pd.Timedelta(microseconds=1)):
        found = depicted(target, asked)
        pd.testing.assert_series_equal(found.row[table.columns], table.iloc[100], check_names=False)
    assert depicted(target, behind).row["timestamp"] == behind


@pytest.mark.parametrize("target", ["direction_5", "direction_40", "momentum"])
def test_barriers_are_those_that_decided(target: str):
    """Nothing before the touch reaches a barrier; the bar of the touch does, on the side that the label says."""
    table = labels(target)
    seen = set()
    for k in range(0, len(table), 31):
        found = depicted(target, table["timestamp"].iloc[k])
        drawn, row = lines(found), row_of(found)
        top, bottom = (float(drawn[f"{side} barrier"].y[0]) for side in ("upper", "lower"))
        ahead = BARS.iloc[row + 1 : int(found.row["last_row"]) + 1]
        assert (ahead["high"][:-1] < top).all() and (ahead["low"][:-1] > bottom).all()
        # Pictures hold prices in single precision.
        above, below = ahead["high"].iloc[-1] >= top * (1 - 1e-6), ahead["low"].iloc[-1] <= bottom * (1 + 1e-6)
        answer = int(found.row[table.columns[4]])
        if target == "momentum":
            profit = above if found.row["side"] > 0 else below
            assert not answer or profit
        else:
            assert above if answer == 2 else below if answer == 0 else above == below
        width = drawn["upper barrier"].x[1] - drawn["upper barrier"].x[0]
        assert width == TARGETS[target]["horizon"]
        seen.add(answer)
    assert len(seen) >= 2


@pytest.mark.parametrize("target", ["trigger", "trigger_sigma"])
def test_a_trigger_fires_where_its_largest_move_passes_its_threshold(target: str):
    table = labels(target)
    for k in range(0, len(table), 23):
        found = depicted(target, table["timestamp"].iloc[k])
        drawn, close = lines(found), BARS["close"].iloc[row_of(found)]
        reached = float(drawn["largest move asked about"].y[0])
        assert 100 * abs(reached / close - 1) == pytest.approx(found.row["max_pct"], abs=1e-4)
        sides = {"either": {"threshold above", "threshold below"}, "down": {"threshold below"}}
        shown = {name for name in drawn if name.startswith("threshold")}
        assert shown == sides[TARGETS[target]["side"]]
        name = "threshold above" if reached > close else "threshold below"
        passed = abs(reached - close) >= abs(float(drawn[name].y[0]) - close) - 1e-4
        assert passed == (found.row["trigger"] == 1)


def test_without_a_time_the_middle_of_the_last_hundred_decisive_labels_is_taken():
    table = labels("direction_5")
    decisive = table[table["direction"] != 1].iloc[-100:]
    found = depicted("direction_5")
    assert found.row["timestamp"] == decisive["timestamp"].iloc[50]
    assert "middle one of the last 100 decisive labels" in found.chosen
    windows = depicted("expansion")
    assert 0 <= windows.row["start"] <= 104


def test_where_no_label_is_decisive_it_says_so():
    calm = labels("trigger").assign(trigger=0.0, max_pct=0.0)
    block = {**TARGETS["trigger"], "threshold": 5.0}
    table = labelling.label("trigger", BARS, **{name: value for name, value in block.items() if name != "kind"})
    assert not labelpicturing.decisive("trigger", calm).any()
    found = labelpicturing.depicted("t", "trigger", {k: v for k, v in block.items() if k != "kind"}, BARS, table, None)
    assert "none of which is decisive" in found.chosen


@pytest.mark.parametrize("target", TARGETS)
def test_every_kind_has_a_page_and_equal_inputs_give_equal_bytes(target: str):
    page = label_portrait(depicted(target))
    assert page == label_portrait(depicted(target))
    own = re.sub(r"<script\b[^>]*>.*?</script>", "", page, flags=re.S)
    assert set(re.findall(r'id="(fig-[\w-]+)" class="plot"', own)) == {"fig-label", f"fig-labels-{target}"}
    assert not re.search(r"<script[^>]+src=|<link\b|<img[^>]+src=[\"']?http|@import|url\(|<iframe", own)
    for name, value in TARGETS[target].items():
        assert f"<td>{name}</td><td>{value}</td>" in own
    weight = depicted(target).row["weight"]
    assert f"<td>weight</td><td>{weight:.6g}</td>" in own and f"<b>{weight:.3f}</b><span>weight" in own


def test_a_picture_of_many_bars_stays_small():
    block = {"horizon": 500, "width": 1.0}
    table = labelling.label("direction", BARS, **block)
    found = labelpicturing.depicted("far", "direction", block, BARS, table, None)
    assert len(found.drawn.figure.data[0].x) <= labelpicturing.MOST_CANDLES


@pytest.mark.parametrize(
    ("target", "changes"),
    [
        ("direction_5", {"lower": 1.2}),
        ("direction_5", {"horizon": 600}),
        ("momentum", {"profit": 2.0, "stop": 2.0}),
        ("trigger", {"threshold": 0.2}),
        ("trigger", {"horizon": 9}),
        ("trigger_sigma", {"side": "up"}),
        ("expansion", {"window": 50}),
    ],
    ids=str,
)
def test_labels_made_with_other_knobs_are_refused(target: str, changes: dict):
    block = {**TARGETS[target], **changes}
    kind, table = block.pop("kind"), labels(target)
    with pytest.raises(labelpicturing.StaleLabels, match=f"betti run --stages labels@{target}"):
        each(
            table["timestamp"].iloc[::25], lambda time: labelpicturing.depicted(target, kind, block, BARS, table, time)
        )


def test_labels_made_from_other_bars_are_refused():
    fewer = BARS[BARS.index % 7 != 0].reset_index(drop=True)
    with pytest.raises(labelpicturing.StaleLabels, match="does not follow the clean bars"):
        each(labels("relevance")["timestamp"].iloc[:8], lambda time: depicted("relevance", time, fewer))


def test_the_command_writes_into_the_current_folder(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    folder = workspace / "inner"
    folder.mkdir()
    for arguments in (["direction_5", "AAA", "2001-05-01 06:30+02:00"], ["expansion", "AAA"]):
        monkeypatch.chdir(folder)  # the command leaves it for the workspace above
        result = CliRunner().invoke(cli.app, ["labels", "plot", *arguments])
        assert result.exit_code == 0, result.output
    last = depicted("expansion").row["timestamp"]
    assert sorted(page.name for page in folder.iterdir()) == [
        "label-direction_5-AAA-2001-05-01T0430.html",
        f"label-expansion-AAA-{last:%Y-%m-%d}.html",
    ]


def test_the_page_says_which_label_it_is(workspace: Path, capsys: pytest.CaptureFixture[str]):
    page = plot(workspace, time="2001-05-01T12:00", out="page.html")
    assert page.as_uri() in capsys.readouterr().out.replace("\n", "")
    assert (
        "Asked for 2001-05-01 12:00 UTC: the last label of AAA at or before it. Its decision bar opened 2001-05-01"
        in (page.read_text())
    )


def test_names_are_escaped_on_the_page_and_in_its_file_name(workspace: Path):
    page = plot(workspace, symbol=HOSTILE, time="2001-03-01")
    assert page.name == "label-direction_5-%3Cb%3E%2Fx-2001-03-01.html"
    assert HOSTILE not in page.read_text() and "&lt;b&gt;/x" in page.read_text()


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"target": "direction_50"}, UnknownName, "did you mean 'direction_5'? Available: direction_40, direction_5"),
        ({"symbol": "AAB"}, UnknownName, "did you mean 'AAA'"),
        ({"target": "trigger"}, MissingArtifact, "betti run --stages labels@trigger"),
        ({"symbol": "SHORT"}, labelpicturing.NoLabels, "SHORT has no label of target direction_5: its 3 clean bars"),
        ({"time": "soon"}, picturing.BadTime, "2008-10-10T14:30"),
        ({"time": "2001-01-01"}, labelpicturing.OutsideLabels, "its labels run from 2001-01-15 to 2002-11-26 UTC"),
        ({"time": "2002-11-27"}, labelpicturing.OutsideLabels, "Give a time between them"),
        ({"out": "nowhere/page.html"}, MissingFile, "Make that folder"),
        ({"out": "."}, UnreadableFile, "is a folder"),
    ],
    ids=str,
)
def test_what_is_asked_for_and_is_not_there(workspace: Path, changes: dict, error: type, said: str):
    before = set(workspace.iterdir())
    with pytest.raises(error, match=re.escape(said)):
        plot(workspace, **{"out": "refused.html", **changes})
    assert set(workspace.iterdir()) == before


def test_a_knob_out_of_range_is_named():
    with pytest.raises(BadParam, match=r"targets\.x\.horizon"):
        labelpicturing.depicted("x", "direction", {"horizon": 0}, BARS, labels("direction_5"), None)


def test_inputs_are_not_changed():
    bars, table = BARS.copy(), labels("direction_5")
    kept = table.copy()
    labelpicturing.depicted(
        "d", "direction", {k: v for k, v in TARGETS["direction_5"].items() if k != "kind"}, bars, table, None
    )
    pd.testing.assert_frame_equal(bars, BARS)
    pd.testing.assert_frame_equal(table, kept)
    assert np.isfinite(table["weight"]).all()
