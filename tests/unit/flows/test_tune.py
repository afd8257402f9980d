"""The search: what is tried, that it goes on after a kill, what it finds, and the text it edits."""

from __future__ import annotations

import math
import multiprocessing
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import params, trials, tuning
from betti.errors import LeakError, UnknownName, UnreadableFile
from betti.models import ModelRegistry, _search
from betti.models._search import OneOf, Real, Whole
from flows import tune
from tests.conftest import REPOSITORY
from tests.unit.flows import trained

optuna = pytest.importorskip("optuna", reason="optuna is not installed: the extra `tuning`")
RUN = "up-logistic"
SPACE = {"C": Real(1e-4, 1e4, log=True), "tolerance": Real(1e-6, 1e-3, log=True)}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.lay_out(tmp_path_factory.mktemp("searched"))


@pytest.fixture
def root(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_search, "space", lambda _: SPACE)
    return Path(shutil.copytree(workspace, tmp_path / "root"))


def searched(root: Path, wanted: int, seed: int = 7, folds: tuple[int, ...] = (), run: str = RUN):
    search = tune.prepared(root, run, folds)
    study = tune.studied(root, search, seed)
    said: list[str] = []
    tune.explore(search, study, wanted, math.inf, tune.attempt, said.append)
    return search, study, said


def values(study) -> list[tuple]:
    return [(one.state.name, one.value, one.user_attrs.get(tune.CONFIG)) for one in study.get_trials()]


def test_the_first_trial_is_the_run_and_the_best_is_no_worse(root: Path):
    search, study, said = searched(root, 8)
    best = tune.best(search, study)
    assert study.get_trials()[0].user_attrs[tune.CONFIG] == {"C": 1.0, "tolerance": 1e-4}
    assert best.finished + best.stopped == 8 == len(said)
    assert best.first is not None and best.loss <= best.first
    again = [one.loss for one in tuning.losses(search.lessons, best.config)]
    assert math.isclose(best.loss, sum(again) / 3), "what is written down is what was tried"


def test_every_trial_stands_in_the_ledger_once(root: Path):
    _, study, _ = searched(root, 6)
    ledger = trials.read(root)
    tried = [config for *_, config in values(study)]
    assert sorted(one.config["C"] for one in ledger) == sorted(config["C"] for config in tried)
    assert {one.origin for one in ledger} == {"tune"}
    finished = {config["C"]: value for state, value, config in values(study) if state == "COMPLETE"}
    assert {one.config["C"]: one.valid_loss for one in ledger if one.valid_loss is not None} == finished
    trained.train(root, RUN)
    from flows import tracked

    tracked.catch_up(root, print, print)
    assert len(trials.read(root)) == len(ledger), "the run's own knobs were tried already: they are no other trial"


def test_a_search_goes_on_where_it_was(root: Path):
    _, half, _ = searched(root, 3)
    before = values(half)
    _, whole, _ = searched(root, 6)
    after = values(whole)
    assert after[:3] == before and len(after) == 6
    assert len({config["C"] for *_, config in after}) == 6, "nothing is drawn again"
    _, same, said = searched(root, 6)
    assert values(same) == after and said == []


def _search_until_killed(root: Path) -> None:
    _search.space = lambda _: SPACE
    real = tuning.losses

    def slow(lessons, config):
        for one in real(lessons, config):
            time.sleep(0.05)
            yield one

    tuning.losses = slow
    searched(root, 10_000)


def test_a_killed_search_goes_on(root: Path):
    process = multiprocessing.get_context("spawn").Process(target=_search_until_killed, args=(root,))
    process.start()
    deadline = time.monotonic() + 90
    while len(trials.read(root)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.join()
    search = tune.prepared(root, RUN, ())
    study = tune.studied(root, search, 7)
    known = len(tune._done(study))
    assert known >= 2
    assert "RUNNING" not in {one.state.name for one in study.get_trials()}
    tune.explore(search, study, known + 2, math.inf, tune.attempt, lambda _: None)
    assert len(tune._done(study)) == known + 2


def test_a_bad_configuration_is_stopped_early(root: Path, monkeypatch: pytest.MonkeyPatch):
    """After the start-up trials, one that is worse than the median by its first fold sees no other."""
    seen: list[int] = []

    def losses(lessons, config: Mapping):
        for lesson in lessons.folds:
            seen.append(lesson.fold)
            yield tuning.FoldLoss(lesson.fold, abs(math.log10(config["C"])), None)

    monkeypatch.setattr(tuning, "losses", losses)
    search, study, said = searched(root, 12)
    best = tune.best(search, study)
    assert best.stopped > 0 and len(seen) == 3 * best.finished + best.stopped
    assert [words for words in said if "stopped after 1 folds" in words]
    assert best.loss == min(value for state, value, _ in values(study) if state == "COMPLETE")


def test_a_configuration_that_fails_ends_no_search(root: Path, monkeypatch: pytest.MonkeyPatch):
    real = tuning.losses

    def losses(lessons, config: Mapping):
        if config["C"] > 1:
            raise LeakError(0, 1, "made up")
        yield from real(lessons, config)

    monkeypatch.setattr(tuning, "losses", losses)
    search, study, said = searched(root, 5)
    failed = [one for one in values(study) if one[0] == "FAIL"]
    assert failed and len(tune._done(study)) == 5 and any("made up" in words for words in said)
    monkeypatch.setattr(tuning, "losses", lambda lessons, config: (_ for _ in ()).throw(LeakError(0, 1, "always")))
    tune.explore(search, study, 8, math.inf, tune.attempt, said.append)
    assert len(tune._done(study)) == 5, "failures alone end the search"


def test_no_trial_begins_after_the_deadline(root: Path):
    search = tune.prepared(root, RUN, ())
    study = tune.studied(root, search, 7)
    tune.explore(search, study, 5, time.monotonic() - 1, tune.attempt, lambda _: None)
    best = tune.best(search, study)
    assert (best.config, best.finished, best.stopped) == ({}, 0, 0)


def test_other_data_and_other_folds_are_other_studies(root: Path):
    first = tune.prepared(root, RUN, ())
    assert tune.prepared(root, RUN, ()).key == first.key
    assert tune.prepared(root, RUN, (0,)).key != first.key
    file = root / "params.yaml"
    text = file.read_text()
    file.write_text(text.replace("config: {}}", "config: {C: 3.0}}"))
    assert tune.prepared(root, RUN, ()).key == first.key, "a searched knob is free: writing the best keeps the study"
    file.write_text(text.replace("config: {}}", "config: {max_iter: 7}}"))
    assert tune.prepared(root, RUN, ()).key != first.key
    file.write_text(text)
    lock = root / "dvc.lock"
    lock.write_text(lock.read_text().replace(trained.md5(root / "data/5_labels/up"), "0" * 32 + ".dir"))
    assert tune.prepared(root, RUN, ()).key != first.key


def test_what_cannot_be_searched_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UnknownName, match="unknown run"):
        tune.prepared(root, "down", ())
    with pytest.raises(UnknownName, match="unknown fold '9'"):
        tune.prepared(root, RUN, (9,))
    monkeypatch.setattr(_search, "space", lambda _: {"length": Whole(4, 9)})
    with pytest.raises(tune.NothingToSearch, match="'logistic' declares nothing to search"):
        tune.prepared(root, RUN, ())


def test_one_search_per_run_at_a_time(root: Path):
    with tune._alone(root, RUN), pytest.raises(tune.BusySearch, match=RUN), tune._alone(root, RUN):
        pytest.fail("two searched at once")
    with tune._alone(root, RUN), tune._alone(root, "up-lightgbm"):
        pass


def test_every_kind_of_choice_is_drawn_within_its_range(root: Path, monkeypatch: pytest.MonkeyPatch):
    space = {"C": Real(0.5, 2.0), "max_iter": Whole(100, 400, log=True), "class_weight": OneOf(("balanced",))}
    monkeypatch.setattr(_search, "space", lambda _: space)
    _, study, _ = searched(root, 6)
    for *_, config in values(study):
        assert all(_search.holds(space[name], value) for name, value in config.items())
        assert isinstance(config["max_iter"], int) and config["C"] == _search.rounded(space["C"], config["C"])


# The text of params.yaml --------------------------------------------------------------------------------------------


def test_the_knobs_are_written_and_nothing_else_changes(root: Path):
    file = root / "params.yaml"
    before = file.read_text()
    tune.write(root, RUN, {"C": 1e-05, "max_iter": 200})
    assert file.read_text() == before.replace("config: {}}", "config: {C: 1.0e-05, max_iter: 200}}")
    assert params.load(root).runs[RUN].config == {"C": 1e-05, "max_iter": 200}
    tune.write(root, "up-lightgbm", {"rounds": 30, "learning_rate": 0.02})
    assert params.load(root).runs["up-lightgbm"].config == {
        "rounds": 30, "early_stopping_rounds": 5, "learning_rate": 0.02,
    }  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.floats(1e-12, 1e12), st.integers(-(10**6), 10**6), st.sampled_from(["auto", "no", "1e5", "null", "a: b", "# x"])
)
def test_any_value_is_read_back_as_it_was_found(tmp_path_factory, number: float, whole: int, word: str):
    root = tmp_path_factory.mktemp("text")
    (root / "params.yaml").write_text(trained.PARAMS)
    config = {"number": number, "whole": whole, "word": word}
    tune.write(root, RUN, config)
    assert yaml.safe_load((root / "params.yaml").read_text())["runs"][RUN]["config"] == config
    assert yaml.safe_load(tune.as_yaml(RUN, config)) == {"runs": {RUN: {"config": config}}}


@pytest.mark.parametrize("run", sorted(params.load(REPOSITORY).runs))
def test_every_run_of_the_shipped_file_can_be_written(run: str, tmp_path: Path):
    shutil.copy(REPOSITORY / "params.yaml", tmp_path / "params.yaml")
    tune.write(tmp_path, run, {"made_up": 3})
    old, new = (yaml.safe_load((root / "params.yaml").read_text()) for root in (REPOSITORY, tmp_path))
    old["runs"][run]["config"]["made_up"] = 3
    assert new == old


def test_an_alias_is_left_to_the_user(root: Path):
    file = root / "params.yaml"
    file.write_text("x-shared: &shared {C: 2.0}\n" + file.read_text().replace("config: {}}", "config: *shared}"))
    before = file.read_text()
    with pytest.raises(UnreadableFile, match=r"C: 3\.0 there by hand"):
        tune.write(root, RUN, {"C": 3.0})
    assert file.read_text() == before


def test_the_registered_spaces_are_within_what_the_models_take():
    """Both ends of every choice are values that the model takes, and no knob of a run or a target is searched."""
    for name in (one for names in ModelRegistry.list_models().values() for one in names):
        model = ModelRegistry.create(name)
        for knob, choice in _search.space(model).items():
            assert knob in model.get_default_config() and knob not in ("seed", "classes", "device"), (name, knob)
            ends = choice.values if isinstance(choice, OneOf) else (choice.low, choice.high)
            for value in ends:
                ModelRegistry.create(name, {**model.SMALL, knob: value})
            assert len(set(ends)) > 1, (name, knob)


def test_best_of_nothing_is_told_as_such(root: Path):
    search = tune.prepared(root, RUN, ())
    assert replace(tune.best(search, tune.studied(root, search, 1)), loss=0.0) == tune.Best({}, 0.0, None, 0, 0)
    assert (root / tune.FOLDER / f"{RUN}.db").is_file()
