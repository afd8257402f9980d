"""The whole pipeline as its users run it: once, again, with a knob changed and put back, beside `dvc repro`."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

import pytest

from tests.sandbox import Sandbox, states

pytestmark = [pytest.mark.flow, pytest.mark.timeout(900)]


def ask(api: str, what: str, query: dict) -> list[dict]:
    request = urllib.request.Request(
        f"{api}/{what}/filter", data=json.dumps(query).encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_one_run_makes_every_artifact_and_a_report(done: Sandbox):
    reports = done.root / "data" / "9_reports"
    for run in done.params()["runs"]:
        metrics = json.loads((reports / "evaluation" / f"{run}.json").read_text())
        assert metrics["run"] == run
        assert set(metrics["versus"]) == {"majority_class", "last_direction", "buy_and_hold"}
    page = (reports / "index.html").read_text()
    assert "<!-- betti:run -->" in (reports / "report.html").read_text()
    assert "<svg" in page and "train@trigger-lightgbm" in page
    recorded = [line for line in done.lock().decode().splitlines() if "md5:" in line and "7_models" not in line]
    assert sum(line.split("md5: ")[1].strip() in page for line in recorded) > 10
    assert (reports / "validation" / "incoming.html").stat().st_size > 1000
    assert "features-technical.html" in (reports / "docs" / "index.html").read_text()


def test_the_server_shows_tasks_artifacts_and_state_names(done: Sandbox, workspace: Sandbox, server: str):
    out = workspace.run_ok("--record")
    assert set(states(out).values()) == {"cached"}
    runs = ask(server, "flow_runs", {"flows": {"name": {"any_": ["retrain"]}}, "sort": "START_TIME_DESC"})
    assert {run["state"]["name"] for run in runs} >= {"Completed"}
    tasks = ask(server, "task_runs", {"flow_runs": {"id": {"any_": [runs[0]["id"]]}}})
    assert {task["name"] for task in tasks} == set(states(out))
    assert {task["state"]["name"] for task in tasks} == {"Cached"}
    assert any(task["task_inputs"].get("upstream") for task in tasks), "the run graph has no edges"
    keys = {artifact["key"] for artifact in ask(server, "artifacts/latest", {})}
    assert {"pipeline-lineage", "report", "stage-train-trigger-lightgbm", "stage-ingest"} <= keys
    assert {"data-quality", "data-docs", "expectations-features-technical", "expectations-labels-trigger"} <= keys


def test_again_with_nothing_changed_starts_nothing(workspace: Sandbox):
    before, lock = workspace.outs(), workspace.lock()
    out = workspace.run_ok(PREFECT_API_URL="http://127.0.0.1:9/api")
    assert "Nothing is stale" in out
    assert "Prefect API" not in out
    assert (workspace.outs(), workspace.lock()) == (before, lock)


def test_dvc_repro_gives_the_same_bytes_and_the_same_lock(done: Sandbox, untouched: Sandbox):
    untouched.dvc("repro", "-q")
    assert untouched.lock() == done.lock()
    mine, theirs = done.outs(), untouched.outs()
    assert {k: v for k, v in mine.items() if theirs.get(k) != v} == {}
    assert set(mine) == set(theirs)
    assert "up to date" in untouched.dvc("repro")


def test_dvc_finds_a_finished_run_up_to_date_and_shows_metrics_and_plots(workspace: Sandbox):
    assert "up to date" in workspace.dvc("status")
    shown = workspace.dvc("metrics", "show", "--json")
    assert "direction_5-logistic" in shown and "baselines_beaten" in shown
    workspace.dvc("plots", "show", "-o", "plots")
    assert (workspace.root / "plots" / "index.html").stat().st_size > 1000


def test_a_knob_changed_and_put_back_restores_without_running(workspace: Sandbox):
    before, features = workspace.outs(), workspace.params()["features"]
    workspace.set_params(features={**features, "complexity": {"window": 30}})
    changed = states(workspace.run_ok())
    assert changed["features@complexity"] == "ran"
    assert changed["select@mixed"] == "ran"
    assert changed["train@trigger-lightgbm"] == "ran"
    # A family that a run does not use does not retrain it: its set is the same bytes.
    assert changed["select@technical_only"] == "ran"
    assert changed["train@direction_5-logistic"] == "cached"
    assert changed["train@direction_5-lstm"] == "cached"
    assert workspace.outs() != before

    workspace.set_params(features=features)
    back = states(workspace.run_ok())
    assert set(back.values()) <= {"cached", "restored"}
    assert back["train@trigger-lightgbm"] == "restored"
    assert workspace.outs() == before


def test_chosen_stages_and_downstream(workspace: Sandbox):
    out = states(workspace.run_ok("--stages", "labels@trigger", "--force"))
    assert out == {"ingest": "cached", "validate": "cached", "labels@trigger": "ran"}
    out = states(workspace.run_ok("--stages", "split@trigger", "--downstream", "--record"))
    assert {"train@trigger-lightgbm", "evaluate@trigger-lightgbm", "compare", "report"} <= set(out)
    assert set(out.values()) == {"cached"}


def test_an_edit_in_a_helper_makes_stale_what_uses_it(workspace: Sandbox):
    helper = workspace.root / "src" / "betti" / "labelling" / "_spans.py"
    helper.write_text(helper.read_text() + "\n# an edit that changes no result\n")
    out = states(workspace.run_ok())
    assert out["labels@trigger"] == out["labels@direction_5"] == "ran"
    assert out["features@technical"] == out["train@trigger-lightgbm"] == "cached"


def test_an_item_that_is_declared_no_more_is_pruned(workspace: Sandbox):
    runs = workspace.params()["runs"]
    runs.pop("direction_5-lstm")
    workspace.set_params(runs=runs)
    workspace.run_ok()
    assert not [path for path in workspace.outs() if "lstm" in path]
    board = json.loads((workspace.root / "data/9_reports/leaderboard.json").read_text())
    assert {row["run"] for row in board["rows"]} == set(runs)


def test_a_corrupted_cache_object_is_not_restored(workspace: Sandbox):
    before = workspace.outs()
    labels = workspace.root / "data" / "5_labels" / "trigger"
    victim = next(iter(sorted(labels.rglob("*.parquet"))))
    objects = [f for f in (workspace.root / ".dvc" / "cache" / "files" / "md5").rglob("*") if f.is_file()]
    stored = next(f for f in objects if f.read_bytes() == victim.read_bytes())
    stored.chmod(0o644)
    stored.write_bytes(b"rot" + stored.read_bytes()[3:])
    stored.chmod(0o444)
    code, said = workspace.betti("doctor")
    assert code == 1
    assert stored.name in said.replace("\n", "")
    shutil.rmtree(labels)
    assert states(workspace.run_ok())["labels@trigger"] == "ran"
    assert workspace.outs() == before


def test_without_a_server_the_run_works_and_says_how_to_start_one(done: Sandbox, workspace: Sandbox):
    out = workspace.run_ok("--stages", "compare", "--force", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert "make dashboard" in out
    assert states(out)["compare"] == "ran"


def test_a_new_day_recomputes_its_period_alone(workspace: Sandbox, untouched: Sandbox, tmp_path: Path):
    """Incremental equals full: a later `until` on a warm workspace, and the same from nothing."""
    for sandbox in (workspace, untouched):
        (sandbox.root / "asof.yaml").write_text('until: "2003-07-01T00:00:00+00:00"\naccepted: null\n')
    parts = workspace.root / ".betti" / "parts"
    known = {part.name for part in parts.iterdir()}
    workspace.run_ok("--stages", "select,split")
    fresh = {part.name for part in parts.iterdir()} - known
    untouched.run_ok("--stages", "select,split")
    full = len(list((untouched.root / ".betti" / "parts").iterdir()))
    assert 0 < len(fresh) < full / 2
    for folder in ("1_bars", "2_clean", "3_features", "4_sets", "5_labels", "6_folds"):
        prefix = f"data/{folder}/"
        mine = {k: v for k, v in workspace.outs().items() if k.startswith(prefix)}
        assert mine == {k: v for k, v in untouched.outs().items() if k.startswith(prefix)}
