"""Binding a stage to a repository: what it reads, what it is told, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from betti import binding, catalog, io, params
from betti.errors import BadModelInput, BadParam, BrokenArtifact, MissingArtifact, UnknownName
from betti.features._sets import declared
from betti.schemas import BARS, LABELS
from betti.training.demands import MissingHeads, MissingInputs
from tests.conftest import REPOSITORY, random_bars
from tests.unit.test_io import digests


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with the shipped knobs and nothing in data/."""
    for name in ("params.yaml", "asof.yaml"):
        (tmp_path / name).write_text((REPOSITORY / name).read_text())
    return tmp_path


def clean(root: Path, bars: pd.DataFrame) -> None:
    io.write_parts(root / "data/2_clean", bars, BARS)


def change(root: Path, **blocks: object) -> None:
    file = root / "params.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **blocks}, sort_keys=False))


# --- what is asked for


def test_a_calendar_nobody_knows_and_a_future_that_was_accepted_are_refused(root):
    pytest.importorskip("exchange_calendars", reason="pip install 'betti[calendars]'")
    stage, known = catalog.stage("validate"), params.load(root)
    change(root, validate={**known.validation.model_dump(), "calendars": {"SP500": "XNYZ"}})
    with pytest.raises(UnknownName, match="unknown calendar 'XNYZ'"):
        binding.check(params.load(root), stage, None, root)
    (root / "asof.yaml").write_text("until: '2018-12-31T00:00:00+00:00'\naccepted: '2019-12-31T00:00:00+00:00'\n")
    with pytest.raises(BadParam, match="lies after until"):
        binding.check(known, stage, None, root)


@pytest.mark.parametrize(
    ("stage", "item", "said"),
    [
        ("lables", None, "stage 'lables'; did you mean 'labels'"),
        ("labels", "directon_5", "did you mean 'direction_5'"),
        ("labels", None, "target of stage labels"),
        ("features", "direction_5", "family of stage features"),
        ("validate", "technical", "stage validate"),
    ],
)
def test_an_unknown_stage_or_item_is_named_and_nothing_is_written(root, stage, item, said):
    with pytest.raises(UnknownName, match=said):
        binding.run(root, stage, item)
    assert not (root / "data").exists()


@pytest.mark.parametrize(
    ("stage", "item", "artifact", "maker"),
    [
        ("validate", None, "bars", "ingest"),
        ("labels", "trigger", "clean", "validate"),
        ("split", "trigger", "labels", "labels"),
        ("select", "topology_only", "features", "features"),
    ],
)
def test_a_missing_artifact_names_the_stage_that_makes_it(root, stage, item, artifact, maker):
    with pytest.raises(MissingArtifact, match=f"'{artifact}'.*betti run --stages {maker}"):
        binding.run(root, stage, item)


def test_a_broken_artifact_is_named(root):
    clean(root, random_bars(100))
    file = next((root / "data/2_clean").rglob("*.parquet"))
    file.write_bytes(b"not Parquet")
    with pytest.raises(BrokenArtifact, match=str(file)):
        binding.run(root, "labels", "trigger")


@pytest.mark.parametrize(
    ("stage", "item", "blocks", "kind", "said"),
    [
        ("features", "technical", {"features": {"technical": {"no_such": 1}}}, UnknownName, "no_such"),
        ("features", "wavelets", {"features": {"wavelets": {}}}, UnknownName, "feature family 'wavelets'"),
        (
            "labels",
            "trigger",
            {"targets": {"trigger": {"kind": "trigger", "horizon": 0}}, "runs": {}},
            BadParam,
            "horizon",
        ),
        ("split", "trigger", {"split": {"scheme": "walk_forward", "folds": 0}}, BadParam, "folds"),
    ],
)
def test_a_bad_knob_is_refused_before_anything_is_read_or_written(root, stage, item, blocks, kind, said):
    change(root, **blocks)
    with pytest.raises(kind, match=said):
        binding.run(root, stage, item)
    assert not (root / "data").exists()


SEVERAL = {
    "features": {"bars": {}, "complexity": {}, "topology": {}, "candle": {}},
    "sets": {"film": {"columns": []}, "part": {"columns": ["bars__*", "complexity__*"]}, "expansion": {"columns": []}},
    "targets": {
        "trigger": {"kind": "trigger", "horizon": 8},
        "direction_5": {"kind": "direction", "horizon": 5},
        "expansion": {"kind": "expansion"},
    },
}


def several(root: Path, **changed: object) -> None:
    """One run of a model of several inputs and another head."""
    run = {"model": "film", "set": "film", "target": "trigger", "seed": 7, "config": {}, **changed}
    change(root, **SEVERAL, runs={"one": run})


@pytest.mark.parametrize(
    ("changed", "kind", "said"),
    [
        ({"prune": 0.9}, BadParam, "takes all columns of its inputs bars, topology, complexity"),
        ({"target": "direction_5"}, MissingHeads, "labels of 'direction_5' have no max_pct"),
        ({"model": "jade", "set": "expansion"}, MissingHeads, "have no start, no end, no type"),
        ({"set": "part"}, MissingInputs, "'part' lacks: 214 of 'film_topology'"),
        ({"set": "expansion"}, MissingInputs, "Use the set 'film'"),
    ],
)
def test_a_run_that_lacks_what_its_model_needs_is_refused_before_anything_is_written(root, changed, kind, said):
    several(root, **changed)
    with pytest.raises(kind, match=said):
        binding.run(root, "train", "one")
    assert not (root / "data").exists()


@pytest.mark.parametrize(
    ("changed", "kind", "said"),
    [
        ({"config": {"seed": 3}}, BadParam, r"runs\.one\.config\.seed = 3: set the run's own `seed`"),
        ({"config": {"classes": 3}}, BadParam, r"runs\.one\.config\.classes = 3: leave it out: the target says"),
        ({"config": {"precision": "fp16", "device": "cpu"}}, BadModelInput, "precision = 'fp16' on the CPU"),
        ({"config": {"lstm_hidden_size": 1000}}, BadModelInput, "lstm_hidden_size = 1000. A multiple of 32"),
        ({"config": {"compile": True, "devices": 2}}, BadModelInput, "compile with devices = 2"),
        (
            {
                "model": "voting",
                "set": "part",
                "target": "direction_5",
                "config": {"members": {"lstm": {"config": {"precision": "fp16", "device": "cpu"}}}},
            },
            BadModelInput,
            "precision = 'fp16' on the CPU",
        ),
    ],
)
def test_a_model_that_cannot_be_trained_here_is_refused_before_anything_is_written(root, changed, kind, said):
    several(root, **changed)
    with pytest.raises(kind, match=said):
        binding.run(root, "train", "one")
    assert not (root / "data").exists()


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_written(root):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    several(root, config={"device": "cuda"})
    with pytest.raises(BadModelInput, match="torch sees no GPU"):
        binding.check(params.load(root), catalog.stage("train"), "one", root)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"prune": None, "config": {"length": 12}},
        {"model": "jade", "set": "expansion", "target": "expansion", "prune": 0.9},
        {"model": "logistic", "set": "part", "target": "direction_5", "prune": 0.9},
    ],
)
def test_a_run_that_has_what_its_model_needs_is_not(root, changed):
    several(root, **changed)
    binding.check(params.load(root), catalog.stage("train"), "one", root)


def test_columns_that_only_other_knobs_make_are_taken_by_their_word(root):
    """A set may list columns that a family has at the knobs in params.yaml, and not at default ones."""
    several(root, set="listed")
    listed = [*declared("film").columns, "technical__rsi_99"]
    change(root, sets={"listed": {"columns": listed}, "film": {"columns": []}, "expansion": {"columns": []}})
    binding.check(params.load(root), catalog.stage("train"), "one", root)


# --- what a stage gets


def test_signatures_name_artifacts():
    assert [i.artifact.name for i in binding.inputs(catalog.stage("labels"))] == ["clean", "context"]
    (features,) = binding.inputs(catalog.stage("select"))
    assert features.every
    validated = [a.name for a in binding.outs(catalog.stage("validate"))]
    assert validated == ["clean", "quarantine", "context", "validation"]


def test_a_stage_is_told_its_knobs_its_item_and_the_clock(root):
    loaded = params.load(root)
    assert binding.knobs(loaded, catalog.stage("ingest"), None, root)["until"] == params.until(root)
    family = binding.knobs(loaded, catalog.stage("features"), "technical", root)
    assert family["family"] == "technical"
    assert "until" not in family
    assert "target" not in binding.knobs(loaded, catalog.stage("labels"), "trigger", root)


# --- what it leaves


def test_from_source_to_folds(root):
    for stage, item in (("ingest", None), ("validate", None), ("labels", "trigger"), ("split", "trigger")):
        binding.run(root, stage, item)
    loaded = binding.read(catalog.artifact("clean"), root)
    assert len(loaded) == 2 * 5031
    assert set(binding.read(catalog.artifact("folds"), root, "trigger")["fold"]) == set(range(5))
    assert binding.read(catalog.artifact("validation"), root).summary.symbols[0].rows_in == 5031
    before = digests(root / "data")
    binding.run(root, "ingest", None)
    binding.run(root, "labels", "trigger")
    assert digests(root / "data") == before


def csv_source(root: Path, name: str, seed: int, rows: slice) -> dict[str, object]:
    """A CSV with some of 100 bars, and the ingest block that reads it."""
    random_bars(100, seed).drop(columns="symbol").iloc[rows].to_csv(root / f"{name}.csv", index=False)
    options = {"path": str(root / f"{name}.csv")}
    evaluate = {**yaml.safe_load((root / "params.yaml").read_text())["evaluate"], "trade_symbols": []}
    ingest = {"source": "csv", "symbols": ["AAA"], "interval": "1d", "options": options}
    return {"ingest": ingest, "evaluate": evaluate}


def test_ingest_keeps_earlier_bars_of_the_same_source_and_mixes_in_none_of_another(root):
    change(root, **csv_source(root, "one", 1, slice(0, 60)))
    binding.run(root, "ingest", None)
    change(root, **csv_source(root, "one", 1, slice(50, 100)))
    binding.run(root, "ingest", None)
    bars = binding.read(catalog.artifact("bars"), root)
    pd.testing.assert_frame_equal(bars, random_bars(100, 1))
    change(root, **csv_source(root, "other", 2, slice(50, 100)))
    binding.run(root, "ingest", None)
    bars = binding.read(catalog.artifact("bars"), root)
    pd.testing.assert_frame_equal(bars, random_bars(100, 2).iloc[50:].reset_index(drop=True))


def test_labels_after_an_append_and_a_correction_equal_a_full_rebuild(root, tmp_path_factory):
    bars = random_bars(1500, start="2014-01-01")
    clean(root, bars.iloc[:1400])
    binding.run(root, "labels", "direction_10")
    bars.loc[700, ["high", "close"]] *= 1.2
    clean(root, bars)
    binding.run(root, "labels", "direction_10")
    incremental = digests(root / "data/5_labels/direction_10")
    io.remove(root / binding.PARTS_CACHE)
    binding.run(root, "labels", "direction_10")
    assert digests(root / "data/5_labels/direction_10") == incremental
    table = io.read_table(root / "data/5_labels/direction_10", LABELS)
    knobs = binding.knobs(params.load(root), catalog.stage("labels"), "direction_10", root)
    whole = binding.function(catalog.stage("labels"))(bars, None, **knobs)
    pd.testing.assert_frame_equal(table, whole)


def test_a_run_reads_its_own_target_and_set(root):
    loaded = params.load(root)
    train = catalog.stage("evaluate")
    name, run = next((name, run) for name, run in loaded.runs.items())
    assert binding._item_of(catalog.artifact("labels"), train, name, loaded) == run.target
    assert binding._item_of(catalog.artifact("feature_set"), train, name, loaded) == run.set
    assert binding._item_of(catalog.artifact("models"), train, name, loaded) == name


def test_the_files_of_items_declared_no_more_are_found_and_no_others(root):
    loaded = params.load(root)
    kept, gone = [], []
    for artifact in catalog.ARTIFACTS.values():
        if artifact.item is None:
            kept.append(artifact.at(root))
            continue
        owner = next(s for s in catalog.STAGES.values() if s.item == artifact.item)
        kept.append(artifact.at(root, params.items(loaded, owner)[0]))
        gone.append(artifact.at(root, "no-longer-declared"))
    for path in [*kept, *gone]:
        if path.suffix:
            io.write_text(path, "x")
        else:
            io.write_text(path / "file", "x")
    assert set(binding.undeclared(loaded, root)) == set(gone)
    for path in gone:
        io.remove(path)
    assert binding.undeclared(loaded, root) == []
    assert all(path.exists() for path in kept)
