from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from betti.errors import BadModelInput
from betti.models import ModelRegistry
from betti.models._protocol import Answers
from betti.models.film import Film
from betti.networks.film_config import FiLMModelConfig
from betti.networks.nbeats import OHLCVNBEATSEncoder
from betti.windows import NamedInputs, Rows, Windows

SMALL = {**Film.SMALL, "device": "cpu"}


def data(rows: int = 500, seed: int = 0) -> tuple[NamedInputs, Answers]:
    """Complexity's first indicator says whether bars or topology are to be believed; moves are as large as topology
    says elsewhere.
    """
    draw = np.random.default_rng(seed)
    bars, topology = 0.3 * draw.normal(size=(rows + 3, 14)), 0.3 * draw.normal(size=(rows, 214))
    complexity, (one, other, size) = draw.normal(size=(rows, 6)), draw.normal(size=(3, rows))
    ends, every = np.arange(3, rows + 3), np.arange(rows)
    bars[ends, :5] += one[:, None]
    topology[:, :40] += other[:, None]
    topology[:, 40:80] += size[:, None]
    classes = (np.where(complexity[:, 0] > 0, one, other) > 0.3).astype("int64")
    inputs = NamedInputs(
        {
            "bars": Windows(bars.astype("float32"), ends, 4),
            "topology": Rows(topology.astype("float32"), every),
            "complexity": Rows(complexity.astype("float32"), every),
        }
    )
    return inputs, Answers(classes, {"max_pct": np.where(classes > 0, 3 + size, np.nan)})


def test_defaults_are_the_published_ones() -> None:
    model = ModelRegistry.create("film")
    assert {name: (spec.set, spec.length) for name, spec in model.inputs.items()} == {
        "bars": ("film_bars", 96),
        "topology": ("film_topology", None),
        "complexity": ("film_complexity", None),
    }
    assert model.heads == ("max_pct",)
    assert [model.config[name] for name in ("trigger_gamma", "trigger_weight", "max_pct_weight")] == [2.0, 1.0, 0.5]


def test_the_network_has_the_published_size() -> None:
    from betti.models._torch import Shape

    shapes = {"bars": (96, 14), "topology": (214,), "complexity": (6,)}
    network = ModelRegistry.create("film").network(Shape(shapes, 2))  # type: ignore[attr-defined]
    assert sum(one.numel() for one in network.parameters()) == 15_284_238


def test_it_learns_what_complexity_says_to_believe(tmp_path: Path) -> None:
    (X, y), (X_held, held) = data(1000), data(400, seed=1)
    model = ModelRegistry.create("film", {**SMALL, "epochs": 12})
    metrics = model.fit(X, y, X_held, held)
    found = model.predict(X_held)
    assert (found.class_predictions == held.classes).mean() > 0.72
    assert metrics.val_loss < 0.55  # the classes' shares alone have .67
    moved = held.classes > 0
    assert np.corrcoef(found.outputs["max_pct"][moved], held.heads["max_pct"][moved])[0, 1] > 0.5
    assert {"max_pct", "gamma_nbeats", "gamma_tda", "gamma_shared"} == set(found.outputs)
    assert all(values.shape == (400,) for values in found.outputs.values())
    for name in ("gamma_mean_nbeats", "gamma_std_shared", "beta_std_tda"):
        assert len(metrics.history[name]) == metrics.epochs_trained
    assert metrics.history["gamma_std_nbeats"][-1] > 0.01
    model.save(tmp_path)
    again = ModelRegistry.create("film")
    again.load(tmp_path)
    for name, values in again.predict(X_held).outputs.items():
        np.testing.assert_array_equal(values, found.outputs[name])


@pytest.mark.parametrize("knobs", [{"fusion_type": "concat"}, {"attention": "stacks"}, {"attention": "none"}])
def test_other_networks_train_as_well(knobs: dict[str, str]) -> None:
    X, y = data(120)
    model = ModelRegistry.create("film", {**SMALL, **knobs, "epochs": 1})
    metrics = model.fit(X, y, None, None)
    assert np.isfinite(metrics.train_loss)
    assert ("gamma_nbeats" in model.predict(X).outputs) == (knobs.get("fusion_type") != "concat")


@pytest.mark.parametrize("name", ["bars", "topology", "complexity"])
def test_a_muted_input_makes_no_difference(name: str, tmp_path: Path) -> None:
    X, y = data(120)
    others = NamedInputs({**X, name: data(120, seed=5)[0][name]})
    plain, muted = (ModelRegistry.create("film", {**SMALL, "epochs": 2, **knobs}) for knobs in ({}, {"mute": name}))
    plain.fit(X, y, None, None)
    metrics = muted.fit(X, y, None, None)
    said = [model.predict(rows).class_probabilities for model in (plain, muted) for rows in (X, others)]
    assert not np.array_equal(said[0], said[1])
    np.testing.assert_array_equal(said[2], said[3])
    # What is watched is the muted network too: of one complexity all rows have one gamma.
    gamma = muted.predict(X).outputs["gamma_shared"]
    assert (np.ptp(gamma) == 0) == (name == "complexity")
    if name == "complexity":
        assert metrics.history["gamma_mean_shared"][-1] == pytest.approx(gamma[0], rel=1e-6)
    again = ModelRegistry.create("film", {**SMALL, "epochs": 2, "mute": name})
    again.fit(others, y, None, None)
    np.testing.assert_array_equal(again.predict(X).class_probabilities, said[2])
    muted.save(tmp_path)
    loaded = ModelRegistry.create("film")
    loaded.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(others).class_probabilities, said[2])


def test_a_width_that_the_stacks_cannot_share_is_refused_when_the_model_is_made() -> None:
    with pytest.raises(BadModelInput, match=r"lstm_hidden_size = 1000\. A multiple of 32"):
        ModelRegistry.create("film", {"lstm_hidden_size": 1000})


@pytest.mark.parametrize("stacks", [("trend",), ("trend", "generic", "generic")])
def test_the_configuration_refuses_what_the_encoder_refuses(stacks: tuple[str, ...]) -> None:
    sizes = {"input_size": 4, "num_channels": 2, "num_blocks": 1, "num_layers": 1}
    for width in range(1, 60):
        refused = []
        for build in (
            lambda width=width: OHLCVNBEATSEncoder(hidden_size=width, stack_types=stacks, **sizes),
            lambda width=width: FiLMModelConfig(lstm_hidden_size=width, stack_types=stacks),
        ):
            try:
                build()
                refused.append(False)
            except BadModelInput:
                refused.append(True)
        assert refused[0] == refused[1], width


def test_every_variant_is_a_network_that_can_be_made() -> None:
    assert set(Film.VARIANTS) == {"concat", "without topology", "without complexity"}
    for changed in Film.VARIANTS.values():
        model = Film({**SMALL, **changed})
        assert any(model.config[knob] != Film().config.get(knob) for knob in changed)


def test_a_target_of_three_classes_is_refused() -> None:
    X, y = data(60)
    three = Answers(np.arange(60) % 3, y.heads)
    with pytest.raises(BadModelInput, match="3 classes"):
        ModelRegistry.create("film", SMALL).fit(X, three, None, None)


@pytest.mark.parametrize(
    "knobs", [{"fusion_type": "sum"}, {"attention": "two"}, {"lstm_dropout": 1.0}, {"length": 0}, {"mute": "news"}]
)
def test_bad_knobs_are_named(knobs: dict[str, object]) -> None:
    with pytest.raises(BadModelInput, match=next(iter(knobs))):
        ModelRegistry.create("film", knobs)
