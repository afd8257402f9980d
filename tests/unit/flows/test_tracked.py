"""After a run: what is due follows from dvc.lock, happens once, and fails nothing."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from betti import binding, catalog, tracking, trials
from betti.tracking import TrackingFault
from flows import tracked, training
from tasks import logs
from tests.unit.flows import trained

RUNS = ("up-logistic", "up-lightgbm")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both runs trained; the first evaluated."""
    root = trained.lay_out(tmp_path_factory.mktemp("trained"))
    for run in RUNS:
        trained.train(root, run)
    trained.evaluate(root, RUNS[0])
    return root


@pytest.fixture
def root(workspace: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(workspace, tmp_path / "root"))


class Said:
    def __init__(self) -> None:
        self.words: list[str] = []
        self.warnings: list[str] = []

    def catch_up(self, root: Path) -> int:
        return tracked.catch_up(root, self.words.append, self.warnings.append)


class Fake:
    """A backend that keeps records in memory; it may fail."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.records: list[tracking.Record] = []
        self.texts: list[dict[str, str]] = []
        self.fault = fault

    def log(self, record: tracking.Record) -> tracking.Reference:
        if self.fault is not None:
            raise self.fault
        self.records.append(record)
        self.texts.append({f"{folder}/{file.name}": file.read_text() for folder, file in record.files})
        return tracking.Reference("fake", f"id-{record.run}", "memory", "fake ui")


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    monkeypatch.setattr(tracking, "open_tracker", lambda name, root, uri: fake)
    return fake


def test_what_was_recorded_is_counted_and_tracked_once(root: Path, backend: Fake):
    said = Said()
    assert said.catch_up(root) == 2
    assert [one.run for one in backend.records] == list(RUNS)
    ledger = (root / trials.FILE).read_bytes()
    assert said.catch_up(root) == 0
    assert len(backend.records) == 2 and (root / trials.FILE).read_bytes() == ledger
    assert said.words == said.warnings == []


def test_nothing_that_dvc_tracks_is_touched(root: Path, backend: Fake):
    before = {file: file.read_bytes() for file in (root / "data").rglob("*") if file.is_file()}
    lock = (root / "dvc.lock").read_bytes()
    Said().catch_up(root)
    assert {file: file.read_bytes() for file in (root / "data").rglob("*") if file.is_file()} == before
    assert (root / "dvc.lock").read_bytes() == lock


def test_a_record_says_what_the_artifacts_say(root: Path, backend: Fake):
    Said().catch_up(root)
    judged, only_trained = backend.records
    lock = {one.run: one for one in tracked.recorded(root)}
    metrics = binding.read(catalog.artifact("metrics"), root, RUNS[0])
    assert judged.models == lock[RUNS[0]].models and judged.evaluation == lock[RUNS[0]].evaluation
    assert (judged.group, judged.params["model"], judged.params["config.C"]) == ("up", "logistic", "1.0")
    assert judged.scores["pooled/accuracy"] == metrics.pooled.accuracy
    assert judged.scores["trading/sharpe"] == metrics.trading.sharpe
    assert not [name for name in judged.scores if name.startswith("baseline")]
    assert judged.tags["dvc.in.data/4_sets/made"] == trained.md5(root / "data/4_sets/made")
    assert judged.tags["dvc.out.data/7_models/up-logistic"] == judged.models
    assert judged.tags["betti.lineage"] == "betti lineage data/7_models/up-logistic"
    kept = {f"{folder}/{file.name}" for folder, file in judged.files}
    config = {f"config/{name}.json" for name in ("manifest", "model", "training", "feature")}
    trainings = config | {"plots/learning.csv", "plots/importance.csv", "plots/pictures.html"}
    assert kept == trainings | {"metrics/up-logistic.json", "plots/confusion.csv", "plots/equity.csv"}
    assert {f"{folder}/{file.name}" for folder, file in only_trained.files} == trainings
    assert (only_trained.evaluation, only_trained.scores) == (None, {})
    curve = [one for one in only_trained.curves if one.name == "fold_0/valid_loss"]
    assert [one.step for one in curve] == list(range(1, len(curve) + 1)) and len(curve) > 3
    assert any(one.name == "final/train_loss" for one in only_trained.curves)
    assert all(math.isfinite(one.value) for one in only_trained.curves)


def test_a_record_has_the_pictures_of_what_is_known(root: Path, backend: Fake):
    Said().catch_up(root)
    judged, only_trained = (texts["plots/pictures.html"] for texts in backend.texts)
    assert all(f"up-logistic-{name}" in judged for name in ("learning", "confusion", "reliability", "importance"))
    assert "not evaluated yet" in only_trained and "fig-importance" in only_trained
    assert not [file for _, file in backend.records[0].files if file.suffix == ".html" and file.exists()]


def test_a_record_has_the_log_of_this_training_and_no_other(root: Path, backend: Fake):
    models = {one.run: one.models for one in tracked.recorded(root)}
    for run, made in ((RUNS[0], models[RUNS[0]]), (RUNS[1], "0" * 32 + ".dir")):
        with logs.opened(root, f"train@{run}") as log:
            log.line("WARNING batches of 32")
        logs.sign(root, f"train@{run}", {f"data/7_models/{run}": made})
    Said().catch_up(root)
    assert "WARNING batches of 32" in backend.texts[0][f"logs/train@{RUNS[0]}.log"]
    assert not [name for name in backend.texts[1] if name.startswith("logs/")], "a log of earlier models"


def test_plots_of_an_earlier_evaluation_are_not_kept(root: Path, backend: Fake):
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("config: {}}  # kept", "config: {C: 0.01}}  # kept"))
    trained.train(root, RUNS[0])
    Said().catch_up(root)
    assert (root / "data/9_reports/plots" / RUNS[0] / "confusion.csv").is_file()
    assert "plots/confusion.csv" not in backend.texts[0] and "plots/learning.csv" in backend.texts[0]


def test_a_trial_says_how_well_it_did(root: Path, backend: Fake):
    Said().catch_up(root)
    by_run = {one.run: one for one in trials.read(root)}
    metrics = binding.read(catalog.artifact("metrics"), root, RUNS[0])
    manifest = binding.read(catalog.artifact("models"), root, RUNS[0]).manifest
    one = by_run[RUNS[0]]
    assert one.folds["fold_1"].log_loss == metrics.folds["fold_1"].log_loss and len(one.folds) == 3
    returns = binding.read(catalog.artifact("equity"), root, RUNS[0])["strategy"].pct_change().dropna()
    assert math.isclose(one.sharpe_per_bar, returns.mean() / returns.std(ddof=1), rel_tol=0.02)
    assert math.isclose(one.valid_loss, np.mean([manifest.fits[f"fold_{k}"].val_loss for k in range(3)]))
    assert one.data.labels == trained.md5(root / "data/5_labels/up")
    assert not by_run[RUNS[1]].evaluated and by_run[RUNS[1]].prune == 0.9
    assert trials.count(trials.read(root), "up") == trials.Counts(2, 2)


def test_an_evaluation_that_comes_later_joins_its_trial_and_its_entry(root: Path, backend: Fake):
    said = Said()
    said.catch_up(root)
    trained.evaluate(root, RUNS[1])
    assert said.catch_up(root) == 1
    assert backend.records[-1].run == RUNS[1] and backend.records[-1].scores
    assert len(trials.read(root)) == 2 and all(one.evaluated for one in trials.read(root))


def test_an_evaluation_of_earlier_models_is_none_of_these(root: Path, backend: Fake):
    said = Said()
    said.catch_up(root)
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("config: {}}  # kept", "config: {C: 0.01}}  # kept"))
    trained.train(root, RUNS[0])
    assert said.catch_up(root) == 1
    assert backend.records[-1].params["config.C"] == "0.01" and backend.records[-1].evaluation is None
    assert trials.count(trials.read(root), "up").configurations == 3, "what was tried before stays counted"


def test_a_fault_is_told_and_the_next_time_tries_again(root: Path, backend: Fake):
    said = Said()
    backend.fault = TrackingFault("fake", "memory", OSError("full"))
    said.catch_up(root)
    assert len(said.warnings) == 1 and "tracking.uri" in said.warnings[0]
    assert len(trials.read(root)) == 2, "counting does not depend on tracking"
    backend.fault = None
    assert said.catch_up(root) == 2 and len(backend.records) == 2


def test_a_broken_ledger_fails_nothing(root: Path, backend: Fake):
    (root / trials.FILE).write_text("no ledger\n")
    said = Said()
    assert said.catch_up(root) == 2
    assert len(said.warnings) == 1 and "not counted" in said.warnings[0] and len(backend.records) == 2
    (root / trials.FILE).unlink()
    said.catch_up(root)
    assert len(trials.read(root)) == 2, "what was not counted is counted when the ledger is mended"


@pytest.mark.parametrize(("name", "extra"), [("tensorboard", "tracking"), ("wandb", "wandb")])
def test_a_library_that_is_not_installed_is_said_once(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, extra: str
):
    from betti.errors import PartUnavailable

    def absent(name: str, root: Path, uri: str | None) -> tracking.Tracker:
        raise PartUnavailable("tracking backend", name, ModuleNotFoundError(f"No module named {name!r}"))

    monkeypatch.setattr(tracking, "open_tracker", absent)
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("backend: tensorboard", f"backend: {name}"))
    said = Said()
    assert said.catch_up(root) == 2 and said.catch_up(root) == 0
    assert len(said.words) == 1 and f"betti[{extra}]" in said.words[0] and not said.warnings


def test_tracking_that_is_off_opens_nothing_and_counts(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tracking, "open_tracker", lambda *_: pytest.fail("it was opened"))
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("tensorboard", "none"))
    said = Said()
    assert said.catch_up(root) == 2 and said.words == said.warnings == []
    assert len(trials.read(root)) == 2 and tracked.table(root) == ()


def test_lost_and_spoilt_notes_cost_one_look(root: Path):
    """With a real backend: the entry is found again by its hash, and none is added."""
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: the extra `tracking`")
    said = Said()
    said.catch_up(root)
    entries = sorted(file.name for file in (root / "tensorboard").iterdir())
    files = sorted((root / "tensorboard").rglob("*"))
    notes = sorted((root / tracked.NOTES).glob("*.json"))
    before = {note.name: json.loads(note.read_text()) for note in notes}
    notes[0].unlink()
    notes[1].write_text("{")
    assert said.catch_up(root) == 2 and not said.warnings
    assert sorted((root / "tensorboard").rglob("*")) == files and len(entries) == 2
    assert {note.name: json.loads(note.read_text()) for note in notes} == before


def test_another_process_at_it_is_left_to_it(root: Path, backend: Fake):
    with tracked._alone(root) as mine:
        assert mine and Said().catch_up(root) == 0
    assert Said().catch_up(root) == 2


def test_lineage_points_at_the_tracked_run(root: Path, backend: Fake, capsys: pytest.CaptureFixture[str]):
    Said().catch_up(root)
    for artifact in (RUNS[0], f"data/7_models/{RUNS[0]}/", f"train@{RUNS[0]}"):
        training.point(root, artifact, Console(width=200))
        said = capsys.readouterr().out
        assert f"{RUNS[0]} is tracked: fake run id-{RUNS[0]}; `fake ui` shows it" in said and RUNS[1] not in said
    training.point(root, "data/4_sets/made", Console(width=200))
    assert capsys.readouterr().out == ""
    lock = root / "dvc.lock"
    lock.write_text(lock.read_text().replace(tracked.recorded(root)[0].models, "0" * 32 + ".dir"))
    training.point(root, RUNS[0], Console(width=200))
    assert "(of earlier models)" in capsys.readouterr().out


def test_the_dashboards_table_has_a_row_per_tracked_run(root: Path, backend: Fake):
    Said().catch_up(root)
    assert [(row.run, row.id) for row in tracked.table(root)] == sorted((run, f"id-{run}") for run in RUNS)


@pytest.mark.parametrize("lock", ["", "schema: '2.0'\nstages: {}\n"])
def test_where_nothing_is_recorded_nothing_is_due(root: Path, backend: Fake, lock: str):
    (root / "dvc.lock").write_text(lock)
    assert Said().catch_up(root) == 0 and trials.read(root) == ()
    (root / "dvc.lock").unlink()
    assert Said().catch_up(root) == 0


def test_trials_are_listed_by_target(root: Path, backend: Fake, capsys: pytest.CaptureFixture[str], monkeypatch):
    from betti.errors import UnknownName

    monkeypatch.setenv("COLUMNS", "200")
    training.trials_of(root, "")
    assert " 0 " in capsys.readouterr().out
    Said().catch_up(root)
    training.trials_of(root, "")
    assert [word for word in capsys.readouterr().out.split() if word.isdigit()] == ["2", "2", "1"]
    training.trials_of(root, "up")
    said = capsys.readouterr().out
    assert all(run in said for run in RUNS) and "Tried on up so far: 2 configurations in 2 trials." in said
    with pytest.raises(UnknownName, match="unknown target 'down'"):
        training.trials_of(root, "down")
