"""What a person does wrong: one sentence with the remedy, exit code 2, and nothing written."""

from __future__ import annotations

import fcntl
import json
import os

import pytest

from tests.sandbox import Sandbox

pytestmark = [pytest.mark.flow, pytest.mark.timeout(600)]


def refused(workspace: Sandbox, *arguments: str) -> str:
    """Run, expect exit code 2 and not one byte changed; returns what was said on one line."""
    before, lock = workspace.outs(), workspace.lock()
    code, out = workspace.betti(*arguments)
    assert code == 2, out
    assert (workspace.outs(), workspace.lock()) == (before, lock)
    assert "Traceback" not in out
    return " ".join(out.split())


def test_an_unknown_stage_or_run_says_what_there_is_and_the_nearest(done: Sandbox):
    said = refused(done, "run", "--stages", "topolgy")
    assert "unknown stage 'topolgy'" in said and "features@topology" in said
    said = refused(done, "run", "--runs", "trigger-lightgbn")
    assert "did you mean 'trigger-lightgbm'" in said
    assert "betti" in refused(done, "lineage", "nothing")


@pytest.mark.parametrize(
    ("block", "value", "said"),
    [
        ("validate", {"max_quarantined_share": 7, "stale_open_share": 0.2, "jump": 0.25}, "max_quarantined_share = 7"),
        ("validate", {"max_quarantined_shar": 0.1, "stale_open_share": 0.2, "jump": 0.25}, "max_quarantined_share"),
        ("split", {"scheme": "walk_forwrd", "folds": 2}, "did you mean 'walk_forward'"),
        ("split", {"scheme": "walk_forward", "folds": 0}, "folds = 0"),
        ("ingest", {"source": "smaple", "symbols": ["NASDAQ"], "interval": "1d", "options": {}}, "'sample'"),
        ("validate", {"stale_open_shar": 0.2, "max_quarantined_share": 0.01, "jump": 0.25}, "'stale_open_share'"),
    ],
    ids=["out of range", "unknown knob", "unknown scheme", "zero folds", "unknown source", "misspelt knob"],
)
def test_a_wrong_block(workspace: Sandbox, block: str, value: dict, said: str):
    workspace.set_params(**{block: value})
    assert said in refused(workspace, "run")


@pytest.mark.parametrize(
    ("section", "item", "change", "said"),
    [
        ("features", "complexity", {"window": 1}, "window = 1"),
        ("features", "complexity", {"windw": 20}, "did you mean 'window'"),
        ("targets", "trigger", {"side": "sideways"}, "side = 'sideways'"),
        ("runs", "trigger-lightgbm", {"model": "lightgbn"}, "did you mean 'lightgbm'"),
        ("runs", "trigger-lightgbm", {"set": "mixd"}, "did you mean 'mixed'"),
        ("runs", "trigger-lightgbm", {"config": {"treees": 3}}, "treees"),
        ("runs", "trigger-lightgbm", {"seed": -1}, "seed = -1"),
    ],
    ids=["window 1", "windw", "side", "model", "set", "config", "seed"],
)
def test_a_wrong_item(workspace: Sandbox, section: str, item: str, change: dict, said: str):
    items = workspace.params()[section]
    items[item] = {**items[item], **change}
    workspace.set_params(**{section: items})
    assert said in refused(workspace, "run")


def test_params_that_are_no_yaml_name_the_line(workspace: Sandbox):
    (workspace.root / "params.yaml").write_text("ingest: {source: sample\nvalidate: [")
    assert "line" in refused(workspace, "status")


def test_a_missing_file_and_a_folder_that_is_no_workspace(workspace: Sandbox, tmp_path):
    ingest = {"source": "csv", "symbols": ["X"], "interval": "1d", "options": {"path": "nowhere/{symbol}.csv"}}
    workspace.set_params(ingest=ingest, evaluate={**workspace.params()["evaluate"], "trade_symbols": []})
    code, out = workspace.betti("run", "--stages", "ingest")
    assert code == 2
    assert "nowhere/X.csv" in " ".join(out.split())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code, out = Sandbox(elsewhere, workspace.environment).betti("status")
    assert code == 2
    assert "no Betti workspace" in " ".join(out.split())


def test_impossible_bars_go_to_quarantine_with_counts(workspace: Sandbox):
    rows = ["timestamp,open,high,low,close,volume"]
    for day in range(1, 29):
        for month in range(1, 13):
            rows.append(f"2001-{month:02d}-{day:02d}T00:00:00Z,10,11,9,10,100")
    rows[5] = rows[5].replace(",11,9,", ",8,9,")
    (workspace.root / "X.csv").write_text("\n".join(rows) + "\n")
    ingest = {"source": "csv", "symbols": ["X"], "interval": "1d", "options": {"path": "X.csv"}}
    workspace.set_params(ingest=ingest, evaluate={**workspace.params()["evaluate"], "trade_symbols": []})
    workspace.run_ok("--stages", "validate")
    summary = json.loads((workspace.root / "data/9_reports/validation/summary.json").read_text())["symbols"][0]
    assert (summary["rows_in"], summary["rows_clean"], summary["rows_quarantined"]) == (336, 335, 1)
    assert "high_below_low" in summary["reasons"]
    rows[7:20] = [row.replace(",11,9,", ",8,9,") for row in rows[7:20]]
    (workspace.root / "X.csv").write_text("\n".join(rows) + "\n")
    code, out = workspace.betti("run", "--stages", "ingest,validate", "--force")
    assert code == 2, out
    assert "max_quarantined_share" in out


def test_a_held_workspace_says_who_holds_it_and_gives_up_in_time(workspace: Sandbox):
    workspace.set_params(flow={**workspace.params()["flow"], "lock_wait_seconds": 2})
    folder = workspace.root / ".betti"
    with (folder / "run.lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        note = {"pid": os.getpid(), "host": "here", "since": "today", "flow_run": None}
        (folder / "run.json").write_text(json.dumps(note))
        code, out = workspace.betti("run", "--stages", "compare", "--force")
    assert code == 1
    assert f"waiting for process {os.getpid()}" in " ".join(out.split())
    assert f"held by process {os.getpid()}" in " ".join(out.split())
    (folder / "run.json").unlink()
    workspace.run_ok("--stages", "compare", "--force")
