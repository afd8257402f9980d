"""`betti ablate`: variants go through the stages, are counted, compared with the run's own rows and written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from betti import binding, catalog, io, trials
from betti.ablation import Ablation, NothingToAblate
from betti.errors import MissingArtifact, UnknownName
from betti.models.logistic import Logistic
from betti.records import RunMetrics
from flows import ablating, ablation, running, tracked
from tests.unit.flows import trained

RUN = "up-logistic"
VARIANTS = {"all but blind": {"C": 1e-7}}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = trained.lay_out(tmp_path_factory.mktemp("ablated"))
    trained.train(root, RUN)
    trained.evaluate(root, RUN)
    return root


@pytest.fixture
def root(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Logistic, "VARIANTS", VARIANTS, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    root = Path(shutil.copytree(workspace, tmp_path / "root"))
    (root / "params.yaml").write_text(trained.PARAMS.replace("tensorboard", "none"))
    return root


def metrics(root: Path) -> RunMetrics:
    found: RunMetrics = binding.read(catalog.artifact("metrics"), root, RUN)
    return found


def test_a_variant_is_trained_on_the_run_s_folds_and_judged_on_its_rows(root: Path) -> None:
    asked = ablation.prepared(root, RUN)
    assert [one.name for one in asked.variants] == ["all but blind", "another seed"]
    blind, lucky = (ablation.attempt(asked, one) for one in asked.variants)
    majority = metrics(root).baselines["majority_class"].log_loss
    # Without a slope it knows the classes' shares: what is planted in the signal is what the part is worth.
    assert blind.log_loss == pytest.approx(majority, abs=0.01)
    assert blind.loss.low > 0.05 and blind.config == {"C": 1e-7}
    assert blind.loss.estimate == pytest.approx(blind.log_loss - metrics(root).pooled.log_loss)
    # A logistic regression draws nothing by chance.
    assert lucky.loss.estimate == pytest.approx(0, abs=1e-12) and lucky.seed == 8


def test_every_variant_stands_in_the_ledger_with_its_scores(root: Path) -> None:
    asked = ablation.prepared(root, RUN)
    scores = [ablation.attempt(asked, one) for one in asked.variants]
    tracked.catch_up(root, print, print)
    ledger = {one.run: one for one in trials.read(root)}
    assert set(ledger) == {RUN, f"{RUN}, all but blind", f"{RUN}, another seed"}
    assert trials.count(ledger.values(), "up").configurations == 3
    blind, own = ledger[f"{RUN}, all but blind"], ledger[RUN]
    assert blind.evaluated and blind.config["C"] == 1e-7 and blind.data == own.data and own.data.set
    rows = sum(one.rows for one in blind.folds.values())
    loss = sum(one.rows * one.log_loss for one in blind.folds.values()) / rows
    assert loss == pytest.approx(scores[0].log_loss)
    for one in asked.variants:
        ablation.attempt(asked, one)
    assert len(trials.read(root)) == 3, "what was tried already is not counted again"


def test_what_cannot_be_ablated_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "run", lambda *_, **__: pytest.fail("nothing may be run"))
    with pytest.raises(UnknownName, match="did you mean 'up-logistic'"):
        ablating.ablate(root, "up-logistik")
    with pytest.raises(NothingToAblate, match="'lightgbm' has no variants"):
        ablating.ablate(root, "up-lightgbm")
    io.remove(catalog.artifact("predictions").at(root, RUN))
    with pytest.raises(MissingArtifact, match="predictions"):
        ablation.prepared(root, RUN)


def test_the_command_brings_the_run_up_to_date_and_says_what_was_found(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ablation.prepared(root, RUN)
    scores = [ablation.attempt(asked, one) for one in asked.variants]
    made = ablation._ablation(root, asked, scores)
    started: list[list[str]] = []
    monkeypatch.setattr(running, "run", lambda _root, stages, _runs, **_: started.append(stages))
    monkeypatch.setattr(ablation, "ablate", lambda _run: made)
    ablating.ablate(root, RUN)
    assert started == [[f"evaluate@{RUN}"]]
    said = capsys.readouterr().out
    assert [word for word in ("all but blind", "another seed", f"{made.rows:,} test rows") if word not in said] == []
    assert f"data/9_reports/ablation/{RUN}.json" in said and "Tried on up so far: 3 configurations" in said
    io.write_json(ablation.path(root, RUN), made)
    assert io.read_json(ablation.path(root, RUN), Ablation) == made
