"""What every registered model refuses by the name of what is wrong: knobs, inputs, spans, and a broken model.json."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from betti.errors import BadModelInput, BrokenArtifact
from betti.models import FOLDER, ModelRegistry
from tests.contract._models import NAMES, ROWS, each_changed, files, fitted, quick, sample

REGISTERED = [name for name, _ in FOLDER.loaded()]
every_model = pytest.mark.parametrize("name", REGISTERED)

# Knobs ---------------------------------------------------------------------------------------------------------------


def bounds(name: str) -> Mapping[str, Any]:
    """All ranges that stand beside a model's knobs: in its module, and where its base class looks."""
    model = type(ModelRegistry.create(name))
    beside = getattr(sys.modules[model.__module__], "BOUNDS", {})
    return {**beside, **getattr(model, "BOUNDS", {}), **getattr(model, "RANGES", {})}


RANGED = [(name, knob) for name in REGISTERED for knob in bounds(name)]


def outside(default: Any, low: float, high: float) -> list[Any]:
    """The nearest values on both sides that the knob's type allows, and far ones."""
    if isinstance(default, int):
        return [int(low) - 1, int(high) + 1, -(10**30), 10**30]
    return [float(np.nextafter(low, -np.inf)), float(np.nextafter(high, np.inf)), -1e300, 1e300]


@pytest.mark.parametrize(("name", "knob"), RANGED)
def test_a_value_outside_its_range_is_refused_by_the_knob_s_name(name: str, knob: str) -> None:
    default, allowed = ModelRegistry.get_model_info(name).default_config[knob], bounds(name)[knob]
    named = isinstance(allowed[0], str)
    bad = ["", "no_such_name", *(one + "x" for one in allowed), 1] if named else outside(default, *allowed)
    for value in [*bad, True, "text", [1], {"a": 1}, float("nan"), float("inf")]:
        with pytest.raises(BadModelInput, match=f"{knob} = "):
            ModelRegistry.create(name, {knob: value})


@every_model
def test_every_number_and_every_optional_knob_has_a_range(name: str) -> None:
    defaults = ModelRegistry.get_model_info(name).default_config
    open_ended = {
        knob
        for knob, default in defaults.items()
        if default is None or (isinstance(default, int | float) and not isinstance(default, bool))
    }
    assert open_ended - {"seed", "classes"} <= set(bounds(name))


@every_model
@pytest.mark.parametrize("knob", ["seed", "classes"])
def test_the_knobs_of_every_model_have_a_range_too(name: str, knob: str) -> None:
    """Libraries take seeds of 31 bits, and fail on longer ones in words of their own."""
    for value in (-1, 2**31):
        with pytest.raises(BadModelInput, match=f"{knob} = "):
            ModelRegistry.create(name, {knob: value})
    assert ModelRegistry.create(name, {"seed": 2**31 - 1}).config["seed"] == 2**31 - 1


# Inputs and spans ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_number_is_refused(name: str) -> None:
    data = sample(name)
    for kind in (str, object, "complex64", "datetime64[ns]"):
        for bad in each_changed(data.X, lambda part, kind=kind: part.astype(kind)):
            with pytest.raises(BadModelInput, match=r"of type .*Give an array of numbers"):
                quick(name).fit(bad, data.y, None, None)
    with pytest.raises(BadModelInput, match="weights of type"):
        quick(name).fit(data.X, data.y, None, None, sample_weights=np.full(ROWS, "1"))


@every_model
def test_spans_that_do_not_fit_are_refused(name: str) -> None:
    data, days = sample(name), 86_400 * 10**9
    start = np.arange(ROWS, dtype="int64") * days
    end = start + 3 * days
    for spans in ((start[:5], end[:5]), (start, end[:-1]), (start, end, end), (start,), (start[:, None], end[:, None])):
        with pytest.raises(BadModelInput, match=f"spans are .* for {ROWS} rows"):
            quick(name).fit(data.X, data.y, None, None, spans=spans)
    for kind in ("float64", "datetime64[ns]"):
        with pytest.raises(BadModelInput, match=f"spans are {kind[:8]}"):
            quick(name).fit(data.X, data.y, None, None, spans=(start.astype(kind), end.astype(kind)))
    with pytest.raises(BadModelInput, match=f"{ROWS} spans end before they start"):
        quick(name).fit(data.X, data.y, None, None, spans=(end, start))


# Files ---------------------------------------------------------------------------------------------------------------

# What is no value of a fact, whichever it is.
BROKEN: tuple[Any, ...] = ({}, "x", None, True, -1, [])
FACTS = ("config", "classes", "inputs", "features", "shape", "depth", "seen", "gamma", "rows", "digest")


@cache
def stored(name: str) -> dict[str, bytes]:
    """The files of a fitted model."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        fitted(name, sample(name)).save(Path(folder) / "model")
        return files(Path(folder) / "model")


def laid_out(name: str, folder: Path, **changed: Any) -> Path:
    """The files again, with facts of `model.json` changed."""
    for path, content in stored(name).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    told = json.loads((folder / "model.json").read_bytes())
    (folder / "model.json").write_text(json.dumps({**told, **changed}))
    return folder


@every_model
def test_a_broken_fact_is_a_broken_artifact(name: str, tmp_path: Path) -> None:
    told = json.loads(stored(name)["model.json"])
    ModelRegistry.create(name).load(laid_out(name, tmp_path))
    for fact in [one for one in FACTS if one in told]:
        for value in BROKEN:
            with pytest.raises(BrokenArtifact):
                ModelRegistry.create(name).load(laid_out(name, tmp_path, **{fact: value}))


@every_model
def test_a_stored_knob_is_checked_like_one_that_is_given(name: str, tmp_path: Path) -> None:
    config = json.loads(stored(name)["model.json"])["config"]
    for wrong in ({"no_such_knob": 1}, {"seed": "seven"}, {"seed": -1}, {"classes": 5000}):
        with pytest.raises(BrokenArtifact, match=next(iter(wrong))):
            ModelRegistry.create(name).load(laid_out(name, tmp_path, config={**config, **wrong}))


@every_model
def test_a_knob_younger_than_the_file_has_its_default(name: str, tmp_path: Path) -> None:
    known = json.loads(stored(name)["model.json"])["config"]
    defaults = ModelRegistry.get_model_info(name).default_config
    young = [knob for knob, value in known.items() if knob not in ("seed", "classes") and defaults.get(knob) == value]
    config = {knob: value for knob, value in known.items() if knob not in young[:1]}
    model = ModelRegistry.create(name)
    model.load(laid_out(name, tmp_path, config=config))
    assert model.config == known


def test_the_samples_have_every_fact_that_is_broken_here() -> None:
    assert {fact for name in REGISTERED for fact in json.loads(stored(name)["model.json"])} >= set(FACTS)
