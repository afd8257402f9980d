"""Choosing the embedding in a workspace: which bars it reads, what it says, and the text it edits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from betti import catalog, io, knobs, params, schemas
from betti.errors import BadBars, BrokenArtifact, MissingArtifact, UnknownName, UnreadableFile
from betti.features import topology
from betti.topology import selection
from flows import embedding
from tests.conftest import REPOSITORY, random_bars

WINDOW = 60
TRAINING = 300
ABOVE = ("features", "topology")
PARAMS = f"""\
# Kept: a note on top.
ingest: {{source: sample, symbols: [AAA, BBB], interval: 1d, options: {{}}}}
validate: {{max_quarantined_share: 0.01, stale_open_share: 0.2, jump: 0.25}}
features:                   # kept: a note beside
  topology: {{window: {WINDOW}, delay: 1, dimension: 2}}  # kept: why
  technical: {{}}
sets: {{topology_only: {{columns: []}}}}
targets:
  one: {{kind: direction, horizon: 5}}
  two: {{kind: direction, horizon: 10}}
split: {{scheme: walk_forward, folds: 2}}
runs: {{}}
evaluate: {{cost_bps: 1, slippage_bps: 1, decision_threshold: 0.5, trade_symbols: [], repetitions: 100,
           confidence: 0.95, seed: 7}}
compare: {{confidence: 0.95}}
report: {{title: T, max_points: 200}}
flow: {{workers: 1, lock_wait_seconds: 1, parts_cache_gb: 1, cron: "0 0 * * *", report_port: 4201, commit: false}}
"""


def bars(rows: int = 500) -> pd.DataFrame:
    return pd.concat([random_bars(rows, 1, "AAA"), random_bars(rows, 2, "BBB")], ignore_index=True)


def folds(frame: pd.DataFrame, first_test: int) -> pd.DataFrame:
    """Two folds; the first tests from row `first_test` of each market on."""
    tables = []
    for fold, start in enumerate((first_test, first_test + 50)):
        for _, rows in frame.groupby("symbol"):
            place = np.arange(len(rows))
            role = np.where(place < start, "train", np.where(place < start + 50, "test", "unused"))
            tables.append(rows[["timestamp", "symbol"]].assign(fold=fold, role=role))
    return pd.concat(tables, ignore_index=True)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "params.yaml").write_text(PARAMS)
    frame = bars()
    io.write_parts(catalog.artifact("clean").at(tmp_path), frame, schemas.BARS)
    for target, first_test in (("one", TRAINING), ("two", TRAINING + 20)):
        io.write_table(catalog.artifact("folds").at(tmp_path, target), folds(frame, first_test), schemas.FOLDS)
    return tmp_path


def expected(frame: pd.DataFrame, first: int = TRAINING) -> tuple[int, int]:
    """The choice by hand, from the bars before the first test row."""
    closes = [rows["close"].to_numpy()[:first] for _, rows in frame.groupby("symbol")]
    return selection.combined([selection.choose(series, WINDOW) for series in closes])


def knobs_in(root: Path) -> tuple[int, int]:
    block = params.load(root).features["topology"] or {}
    return block["delay"], block["dimension"]


def test_without_write_it_says_and_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]):
    embedding.choose(root, write=False)
    said = capsys.readouterr().out
    delay, dimension = expected(bars())
    assert f"delay {delay}, dimension {dimension}" in said
    assert "In params.yaml: delay 1, dimension 2" in said and "--write" in said
    assert all(name in said for name in ("AAA", "BBB", "shuffled", "2001-10-28"))
    assert (root / "params.yaml").read_text() == PARAMS


def test_with_write_the_knobs_change_and_nothing_else_does(root: Path, capsys: pytest.CaptureFixture[str]):
    embedding.choose(root, write=True)
    delay, dimension = expected(bars())
    assert (delay, dimension) != (1, 2)
    text = (root / "params.yaml").read_text()
    assert text == PARAMS.replace("delay: 1, dimension: 2", f"delay: {delay}, dimension: {dimension}")
    assert knobs_in(root) == (delay, dimension)
    capsys.readouterr()
    embedding.choose(root, write=True)
    assert "already" in capsys.readouterr().out
    assert (root / "params.yaml").read_text() == text


def test_no_bar_from_the_first_test_row_on_is_read(root: Path, capsys: pytest.CaptureFixture[str]):
    """The earliest of all targets counts: later bars may be anything."""
    embedding.choose(root, write=False)
    before = capsys.readouterr().out
    frame = bars()
    for rows in frame.groupby("symbol").groups.values():
        frame.loc[rows[TRAINING:], "close"] = 100 + 50 * np.sin(np.arange(len(rows) - TRAINING))
    io.write_parts(catalog.artifact("clean").at(root), frame, schemas.BARS)
    embedding.choose(root, write=False)
    assert capsys.readouterr().out == before
    frame.loc[frame.groupby("symbol").cumcount() == TRAINING - 1, "close"] *= 2  # the last training bar does count
    io.write_parts(catalog.artifact("clean").at(root), frame, schemas.BARS)
    embedding.choose(root, write=False)
    assert capsys.readouterr().out != before


def test_a_market_with_too_few_training_bars_is_left_out_and_named(root: Path, capsys: pytest.CaptureFixture[str]):
    late = random_bars(300, 3, "LATE", start="2001-10-01")
    io.write_parts(catalog.artifact("clean").at(root), pd.concat([bars(), late], ignore_index=True), schemas.BARS)
    embedding.choose(root, write=True)
    assert "left out LATE: series: 27 values" in capsys.readouterr().out
    assert knobs_in(root) == expected(bars())


def test_it_refuses_before_anything_is_there(root: Path):
    io.remove(catalog.artifact("folds").at(root, "two"))
    with pytest.raises(MissingArtifact, match="betti run --stages split"):
        embedding.choose(root, write=True)
    io.write_table(catalog.artifact("folds").at(root, "two"), folds(bars(), TRAINING), schemas.FOLDS)
    io.remove(catalog.artifact("clean").at(root))
    with pytest.raises(MissingArtifact, match="betti run --stages validate"):
        embedding.choose(root, write=True)


def test_folds_without_a_test_row_are_refused(root: Path):
    untested = folds(bars(), TRAINING).assign(role="train")
    io.write_table(catalog.artifact("folds").at(root, "two"), untested, schemas.FOLDS)
    with pytest.raises(BrokenArtifact, match="no row has the role test"):
        embedding.choose(root, write=False)


def test_no_market_with_enough_bars_is_refused(root: Path):
    (root / "params.yaml").write_text(PARAMS.replace(f"window: {WINDOW}", "window: 301"))
    with pytest.raises(BadBars, match=r"windows of 301 bars.*features\.topology\.window"):
        embedding.choose(root, write=False)


def test_no_topology_features_are_refused(root: Path):
    lines = [line for line in PARAMS.splitlines(keepends=True) if "topology: {window" not in line]
    (root / "params.yaml").write_text("".join(lines))
    with pytest.raises(UnknownName, match="topology"):
        embedding.choose(root, write=False)


def test_an_alias_is_left_to_the_user(root: Path):
    text = PARAMS.replace(f"topology: {{window: {WINDOW}, delay: 1, dimension: 2}}", "topology: *shared")
    text = f"x-shared: &shared {{window: {WINDOW}}}\n" + text
    file = root / "params.yaml"
    file.write_text(text)
    with pytest.raises(UnreadableFile, match="delay: 9, dimension: 3 there by hand"):
        embedding._write(file, {"delay": 9, "dimension": 3})
    assert file.read_text() == text


def test_ends_of_lines_stay(root: Path):
    file = root / "params.yaml"
    file.write_bytes(PARAMS.replace("\n", "\r\n").encode())
    embedding._write(file, {"delay": 9, "dimension": 3})
    changed = PARAMS.replace("delay: 1, dimension: 2", "delay: 9, dimension: 3")
    assert file.read_bytes() == changed.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (" {delay: 5, dimension: 2}", " {delay: 7, dimension: 3}"),
        (" {dimension: 2 , bins: 9}   # c", " {dimension: 3 , bins: 9, delay: 7}   # c"),
        (" {}  # c", " {delay: 7, dimension: 3}  # c"),
        ("", " {delay: 7, dimension: 3}"),
        (" ~", " {delay: 7, dimension: 3}"),
        ("\n    window: 99  # c\n    delay: 5  # d\n", "\n    dimension: 3\n    window: 99  # c\n    delay: 7  # d\n"),
        ("\n    # first\n    window: 99\n", "\n    # first\n    dimension: 3\n    delay: 7\n    window: 99\n"),
        (" {window: 99,\n             delay: 5}", " {window: 99,\n             delay: 7, dimension: 3}"),
    ],
)
def test_every_way_to_write_a_block_is_edited_in_place(before: str, after: str):
    frame = "a: 1  # x\nfeatures:\n  technical: {{}}\n  topology:{}\nz: [1, 2]\n"
    changed = embedding.with_knobs(frame.format(before), ABOVE, {"delay": 7, "dimension": 3})
    assert changed == frame.format(after)


@given(st.integers(1, 256), st.integers(2, 8))
def test_the_shipped_file_takes_any_choice(delay: int, dimension: int):
    text = (REPOSITORY / "params.yaml").read_text()
    changed = embedding.with_knobs(text, ABOVE, {"delay": delay, "dimension": dimension})
    old, new = yaml.safe_load(text), yaml.safe_load(changed)
    assert (new["features"]["topology"]["delay"], new["features"]["topology"]["dimension"]) == (delay, dimension)
    old["features"]["topology"] |= {"delay": delay, "dimension": dimension}
    assert new == old
    assert sum(a != b for a, b in zip(text.splitlines(), changed.splitlines(), strict=True)) <= 1


def test_the_knobs_take_the_longest_delay_and_the_highest_dimension():
    block = {"window": 4096, "delay": selection.LONGEST_DELAY, "dimension": selection.HIGHEST_DIMENSION}
    assert knobs.checked(topology.compute, block, "features.topology")["delay"] == selection.LONGEST_DELAY
