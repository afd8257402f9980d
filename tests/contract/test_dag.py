"""dvc.yaml and the code say the same: deps, params, outs and items, and every code dependency."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml

from betti import binding, catalog, code, models, params
from betti.catalog import STAGES, Stage
from tests.conftest import REPOSITORY

PIPELINE = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARAMS = params.load(REPOSITORY)

# Which module an item of a stage is computed by, besides the stage's own.
ITEM_MODULE = {
    "features": lambda item: f"betti.features.{item}",
    "labels": lambda item: f"betti.labelling.{PARAMS.targets[item].kind}",
    "split": lambda _: f"betti.splits.{PARAMS.split.scheme}",
    "train": lambda item: f"betti.models.{PARAMS.runs[item].model}",
    "evaluate": lambda item: f"betti.models.{PARAMS.runs[item].model}",
    "ingest": lambda _: f"betti.sources.{PARAMS.ingest.source}",
}


def declared(stage: Stage) -> dict:
    entry = PIPELINE[stage.name]
    return entry.get("do", entry)


def listed(entries: list) -> list[str]:
    """Paths of a dvc.yaml list whose entries may carry options."""
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def template(artifact: catalog.Artifact, stage: Stage) -> str:
    """An artifact's path as dvc.yaml writes it inside this stage."""
    if artifact.item is None:
        return artifact.path
    word = "key" if artifact.item == stage.item else f"item.{artifact.item}"
    return artifact.path.replace("{item}", "${" + word + "}")


def code_files(stage: Stage, item: str | None) -> set[Path]:
    """Files that dvc.yaml declares as code deps of one item, folders opened."""
    fields: dict = dict(inspect_item(stage, item))
    found: set[Path] = set()
    for path in listed(declared(stage)["deps"]):
        for word, value in fields.items():
            path = path.replace("${" + word + "}", str(value))
        if path.startswith("src/"):
            full = REPOSITORY / path
            found |= set(full.rglob("*.py")) if full.is_dir() else {full}
    return found


def inspect_item(stage: Stage, item: str | None) -> list[tuple[str, object]]:
    if item is None:
        return []
    block = getattr(PARAMS, str(stage.items))[item]
    values = block.model_dump() if hasattr(block, "model_dump") else dict(block or {})
    return [("key", item), *((f"item.{key}", value) for key, value in values.items())]


def cases() -> list[tuple[Stage, str | None]]:
    return [(stage, item) for stage in STAGES.values() for item in params.items(PARAMS, stage) or (None,)]


def test_stages_stand_in_the_order_the_data_flows():
    assert list(PIPELINE) == list(STAGES)


@pytest.mark.parametrize("stage", STAGES.values(), ids=str)
def test_items_come_from_params(stage):
    entry = PIPELINE[stage.name]
    assert entry.get("foreach") == ("${" + stage.items + "}" if stage.items else None)
    tail = " ${key}" if stage.items else ""
    assert declared(stage)["cmd"] == f"python -m betti {stage.name}{tail}"


@pytest.mark.parametrize("stage", STAGES.values(), ids=str)
def test_positional_arguments_are_the_data_deps(stage):
    data_deps = {path for path in listed(declared(stage)["deps"]) if path.startswith("data/")}
    wanted = set()
    for entry in binding.inputs(stage):
        outer = catalog.artifact(entry.artifact.inside) if entry.artifact.inside else entry.artifact
        folder = outer.path.split("/{item}")[0]
        wanted.add(folder if entry.every else template(outer, stage))
    assert data_deps == wanted


@pytest.mark.parametrize("stage", STAGES.values(), ids=str)
def test_the_return_value_is_the_outs(stage):
    entry = declared(stage)
    outs = {path for kind in ("outs", "metrics", "plots") for path in listed(entry.get(kind, []))}
    assert outs == {template(a, stage) for a in binding.outs(stage) if a.inside is None}


@pytest.mark.parametrize("stage", STAGES.values(), ids=str)
def test_the_params_block_is_what_the_function_takes(stage):
    entries = declared(stage).get("params", [])
    blocks = [entry for entry in entries if isinstance(entry, str)]
    files = [entry for entry in entries if not isinstance(entry, str)]
    keyed = stage.params == stage.items
    assert blocks == ([f"{stage.params}.${{key}}" if keyed else stage.params])
    assert files == ([{"asof.yaml": list(stage.clocks)}] if stage.clocks else [])


@pytest.mark.parametrize(("stage", "item"), cases(), ids=str)
def test_keyword_arguments_are_exactly_the_params_block(stage, item):
    function = binding.function(stage)
    keywords = {n: p for n, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY}
    given = binding.knobs(PARAMS, stage, item, REPOSITORY)
    takes_more = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
    assert set(keywords) <= set(given)
    assert takes_more or set(given) == set(keywords)
    binding.check(PARAMS, stage, item, REPOSITORY)


def test_no_knob_has_the_name_of_an_artifact():
    for stage in STAGES.values():
        parameters = inspect.signature(binding.function(stage)).parameters.values()
        assert not {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} & set(catalog.ARTIFACTS)


@pytest.mark.parametrize(("stage", "item"), cases(), ids=str)
def test_every_file_an_item_is_computed_by_is_a_dep(stage, item):
    """An edit in a helper must make stale what uses it."""
    modules = [f"betti.stages.{stage.name}"]
    if stage.name in ITEM_MODULE:
        modules.append(ITEM_MODULE[stage.name](item))
    closure = {path.resolve() for path in code.closure(*modules).values()}
    missing = closure - {path.resolve() for path in code_files(stage, item)}
    assert not missing, (
        f"add to dvc.yaml, stage {stage.name}: {sorted(str(p.relative_to(REPOSITORY)) for p in missing)}"
    )


@pytest.mark.parametrize("stage", ["train", "evaluate"])
@pytest.mark.parametrize("model", models.FOLDER.names())
def test_a_run_of_any_model_needs_its_entry_in_params_alone(stage, model):
    """What a model imports is a dep whether or not a run in params.yaml has it today."""
    deps = [path.replace("${item.model}", model) for path in listed(declared(STAGES[stage])["deps"])]
    places = [(REPOSITORY / path).resolve() for path in deps if path.startswith("src/")]
    for file in code.closure(f"betti.stages.{stage}", f"betti.models.{model}").values():
        assert any(place == file.resolve() or place in file.resolve().parents for place in places), file


@pytest.mark.parametrize("stage", STAGES.values(), ids=str)
def test_no_code_dep_is_idle(stage):
    """A dep that no declared or registered item of the stage uses would make it stale for nothing."""
    from betti import features, labelling, sources, splits

    folders = {
        "ingest": sources, "features": features, "labels": labelling, "split": splits, "train": models,
        "evaluate": models,
    }  # fmt: skip
    modules = [f"betti.stages.{stage.name}"]
    if stage.name in folders:
        folder = folders[stage.name].FOLDER
        modules += [f"{folder.package}.{name}" for name in folder.names()]
    used = set(code.closure(*modules).values())
    for path in listed(declared(stage)["deps"]):
        full = REPOSITORY / path
        if path.startswith("src/") and "$" not in path:
            assert {file for file in used if file == full or full in file.parents}, path


def test_every_artifact_is_made_by_exactly_one_stage():
    made = [artifact.name for stage in STAGES.values() for artifact in binding.outs(stage)]
    assert sorted(made) == sorted(catalog.ARTIFACTS)
