"""params.yaml: what it may say, and what is said when it says something else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from betti import catalog, params
from betti.errors import BadInput, BadParam, MissingFile, UnknownName, UnreadableFile
from tests.conftest import REPOSITORY


@pytest.fixture
def shipped() -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / "params.yaml").read_text())


@pytest.fixture
def load(tmp_path):
    def write_and_load(raw: Any) -> params.Params:
        (tmp_path / "params.yaml").write_text(raw if isinstance(raw, str) else yaml.safe_dump(raw, sort_keys=False))
        return params.load(tmp_path)

    return write_and_load


def changed(raw: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    whole = copy.deepcopy(raw)
    *above, last = path.split(".")
    block = whole
    for part in above:
        block = block[part]
    block[last] = value
    return whole


def test_the_shipped_file_loads_and_its_items_keep_their_order(shipped):
    loaded = params.load(REPOSITORY)
    assert params.items(loaded, catalog.stage("train")) == tuple(shipped["runs"])
    assert params.items(loaded, catalog.stage("features")) == tuple(shipped["features"])
    assert params.items(loaded, catalog.stage("compare")) == ()


def test_every_knob_is_described():
    def blocks(model: Any) -> Any:
        for field in model.model_fields.values():
            nested = [field.annotation, *getattr(field.annotation, "__args__", ())]
            inner = [one for one in nested if hasattr(one, "model_fields")]
            if not inner and model is not params.Params:
                yield model.__name__, field
            for one in inner:
                yield from blocks(one)

    found = list(blocks(params.Params))
    assert len(found) > 20
    assert [name for name, field in found if not field.description] == []


def test_the_knobs_are_frozen():
    loaded = params.load(REPOSITORY)
    with pytest.raises(ValueError, match="frozen"):
        loaded.ingest.source = "csv"


@pytest.mark.parametrize(
    ("path", "value", "knob"),
    [
        ("ingest.interval", "1 day", "ingest.interval"),
        ("ingest.symbols", [], "ingest.symbols"),
        ("ingest.symbols", ["NASDAQ", "SP500", "NASDAQ"], "ingest.symbols"),
        ("ingest.symbols", ["NASDAQ", ""], "ingest.symbols"),
        ("ingest.symbols", ["NASDAQ", "X" * 300], "ingest.symbols"),
        ("validate.max_quarantined_share", 1.5, "validate.max_quarantined_share"),
        ("validate.max_quarantined_share", "few", "validate.max_quarantined_share"),
        ("evaluate.repetitions", 10, "evaluate.repetitions"),
        ("split", "walk_forward", "split"),
        ("targets.trigger.kind", 3, "targets.trigger.kind"),
        ("report.title", "", "report.title"),
        ("flow.parts_cache_gb", 0, "flow.parts_cache_gb"),
        ("features.a b", {}, "features.a b"),
        ("features.../x", {}, "features.."),
    ],
)
def test_a_value_out_of_range_names_its_knob(shipped, load, path, value, knob):
    above, _, last = path.partition(".") if "x" in path[-1:] or " " in path else (path, "", "")
    raw = changed(shipped, path, value) if not last else {**shipped, above: {**shipped[above], last: value}}
    with pytest.raises(BadParam) as caught:
        load(raw)
    assert caught.value.knob.startswith(knob)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("ingest.sorce", "did you mean 'source'"),
        ("evaluate.cost", "did you mean 'cost_bps'"),
        ("validat", "did you mean 'validate'"),
        ("validate.jmp", "did you mean 'jump'"),
        ("sets.neural_optimal.colums", "did you mean 'columns'"),
    ],
)
def test_a_misspelt_knob_names_the_nearest(shipped, load, path, hint):
    with pytest.raises(UnknownName, match=hint):
        load(changed(shipped, path, 1))


@pytest.mark.parametrize("word", ["set", "target"])
def test_a_run_that_names_an_absent_item_is_refused(shipped, load, word):
    run = next(iter(shipped["runs"]))
    with pytest.raises(UnknownName, match=f"runs.{run}.*'nowhere'"):
        load(changed(shipped, f"runs.{run}.{word}", "nowhere"))


def test_an_absent_knob_is_asked_for_by_name(shipped, load):
    del shipped["ingest"]["source"]
    with pytest.raises(BadParam, match=r"ingest\.source = None: Field required"):
        load(shipped)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "is not YAML .line"),
        ("a: b: c", "is not YAML .line 1"),
        ("- ingest", "holds no blocks"),
        ("", "holds no blocks"),
        ("just words", "holds no blocks"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(load, text, said):
    with pytest.raises(UnreadableFile, match=said):
        load(text)


def test_a_file_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "params.yaml").write_bytes("report: {title: Übersicht}".encode("latin-1"))
    with pytest.raises(UnreadableFile, match="UTF-8"):
        params.load(tmp_path)


def test_an_absent_file_says_so(tmp_path):
    with pytest.raises(MissingFile, match=r"params\.yaml"):
        params.load(tmp_path)


def test_a_calendar_names_a_symbol_that_there_is(shipped, load):
    load(changed(shipped, "validate.calendars", {"SP500": "XNYS"}))
    with pytest.raises(UnknownName, match="'SPX'; did you mean 'SP500'"):
        load(changed(shipped, "validate.calendars", {"SPX": "XNYS"}))


def test_an_absent_line_of_the_clock_is_asked_for(tmp_path):
    (tmp_path / "asof.yaml").write_text("until: '2018-12-31T00:00:00+00:00'\n")
    with pytest.raises(BadParam, match="accepted = None: it takes null, or"):
        params.clock(tmp_path, "accepted")


def test_blocks_are_what_stages_take(shipped):
    loaded = params.load(REPOSITORY)
    assert params.block(loaded, catalog.stage("features"), "technical") == shipped["features"]["technical"]
    assert params.block(loaded, catalog.stage("labels"), "trigger") == shipped["targets"]["trigger"]
    assert params.block(loaded, catalog.stage("validate"), None) == shipped["validate"]
    assert params.block(loaded, catalog.stage("split"), "trigger") == shipped["split"]
    assert params.block(loaded, catalog.stage("evaluate"), "any")["seed"] == shipped["evaluate"]["seed"]
    with pytest.raises(UnknownName, match="'nowhere'"):
        params.block(loaded, catalog.stage("features"), "nowhere")


def test_a_family_without_knobs_may_stay_empty(shipped, load):
    loaded = load(changed(shipped, "features.technical", None))
    assert params.block(loaded, catalog.stage("features"), "technical") == {}


def test_until_is_read_as_text(tmp_path):
    (tmp_path / "asof.yaml").write_text("until: '2018-12-31T00:00:00+00:00'\n")
    assert params.until(tmp_path) == "2018-12-31T00:00:00+00:00"


@pytest.mark.parametrize(
    "text", ["until: 2018-12-31\n", "until:\n", "since: x\n", "[]\n", "until: 2018-12-31T00:00:00Z"]
)
def test_an_until_that_is_no_text_says_how_to_write_it(tmp_path, text):
    (tmp_path / "asof.yaml").write_text(text)
    with pytest.raises(BadParam, match=r"asof\.yaml: until = .*in quotes"):
        params.until(tmp_path)


def test_every_refusal_ends_in_exit_code_2():
    assert all(issubclass(kind, BadInput) for kind in (BadParam, MissingFile, UnknownName, UnreadableFile))


def test_tracking_and_tuning_have_defaults_and_refuse_what_is_not_there(tmp_path):
    from tests.unit.flows.trained import PARAMS

    file = tmp_path / params.FILE
    file.write_text(PARAMS.replace("tracking: {backend: tensorboard}\n", ""))
    known = params.load(tmp_path)
    assert (known.tracking.backend, known.tracking.uri) == ("mlflow", None)
    assert (known.tune.trials, known.tune.timeout_seconds) == (20, None)
    for wrong, knob in (
        ("tracking: {backend: mlfow}", r"tracking\.backend = 'mlfow'.*mlflow, none, tensorboard"),
        ("tracking: {uri: ''}", r"tracking\.uri"),
        ("tune: {trials: 0}", r"tune\.trials"),
        ("tune: {timeout_seconds: 0}", r"tune\.timeout_seconds"),
    ):
        file.write_text(PARAMS.replace("tracking: {backend: tensorboard}", wrong))
        with pytest.raises(BadParam, match=knob):
            params.load(tmp_path)
