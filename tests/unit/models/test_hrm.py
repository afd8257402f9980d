from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from betti import labelling, splits
from betti.errors import BadModelInput, BrokenArtifact
from betti.features._sets import declared
from betti.models import ModelRegistry
from betti.models.hrm import Hrm
from betti.networks.conditioning import Neighbours, Pattern, VectorIndex
from betti.stages.train import train
from betti.training.run import TrainedRun
from betti.windows import NamedInputs
from tests.conftest import random_bars

LENGTH, PAST, WIDTH, PATTERN = 5, 6, 3, 16
QUICK = {
    "length": LENGTH,
    "regime_length": PAST,
    "regime_epochs": 2,
    "high_cycles": 1,
    "low_steps": 1,
    "dropout": 0.0,
    "epochs": 12,
    "warmup_epochs": 1,
    "batch_size": 64,
    "learning_rate": 5e-3,
    "device": "cpu",
}
MEMORY = {**QUICK, "enable_rag": True, "neighbours": 4}
ALL_ON = {**MEMORY, "enable_regime": True, "enable_hybrid": True}
HOUR = 3_600_000_000_000


def data(rows: int, seed: int = 0) -> tuple[NamedInputs, np.ndarray]:
    """Patterns come again and again, each with an answer of its own that nothing else tells."""
    rng = np.random.default_rng(seed)
    seen = np.random.default_rng(100).normal(size=(30, PATTERN))
    answers = np.random.default_rng(101).integers(0, 2, 30)
    kind = rng.integers(0, 30, rows)
    parts = {
        "tokens": rng.normal(size=(rows, LENGTH, WIDTH)),
        "regime": np.abs(rng.normal(size=(rows, PAST, 20))),
        "patterns": seen[kind] + 0.05 * rng.normal(size=(rows, PATTERN)),
    }
    return NamedInputs({name: part.astype("float32") for name, part in parts.items()}), answers[kind]


def only(inputs: NamedInputs, *names: str) -> NamedInputs:
    return NamedInputs({name: inputs[name] for name in names})


def spans(rows: int, hours: int) -> tuple[np.ndarray, np.ndarray]:
    start = np.arange(rows) * HOUR
    return start, start + hours * HOUR


def test_inputs_are_those_of_the_paths_that_are_on() -> None:
    assert set(ModelRegistry.create("hrm").inputs) == {"tokens"}
    assert set(Hrm({"enable_regime": True}).inputs) == {"tokens", "regime"}
    whole = Hrm(ALL_ON).inputs
    assert {name: (spec.set, spec.length, spec.scaling) for name, spec in whole.items()} == {
        "tokens": ("neural_optimal", LENGTH, None),
        "regime": ("regime", PAST, "none"),  # logarithms need raw numbers
        "patterns": ("pattern_features", None, None),
    }


def test_its_variants_leave_out_a_path_each() -> None:
    left = {name: set(Hrm({**ALL_ON, **changed}).inputs) for name, changed in Hrm.VARIANTS.items()}
    assert left == {
        "without regime": {"tokens", "patterns"},
        "without patterns": {"tokens", "regime"},
        "without conditioning": {"tokens"},
    }


def test_it_remembers_what_followed_a_pattern() -> None:
    X, y = data(300)
    given = only(X, "tokens", "patterns")
    model = Hrm(MEMORY)
    metrics = model.fit(given, y, None, None, spans=spans(300, hours=2))
    fresh, answers = data(200, seed=1)
    found = model.predict(only(fresh, "tokens", "patterns"))
    assert (found.class_predictions == answers).mean() > 0.9
    assert metrics.train_accuracy > 0.8
    assert metrics.history["gamma_shift"][-1] > metrics.history["gamma_shift"][0] > 0


def test_shuffled_labels_cost_more_than_half_of_what_it_knows() -> None:
    X, y = data(400)
    fresh, answers = data(300, seed=1)
    prior = np.log(2)  # the classes are even
    known = []
    for labels in (y, np.random.default_rng(2).permutation(y)):
        model = Hrm(ALL_ON)
        model.fit(X, labels, None, None, spans=spans(400, hours=2))
        chances = model.predict(fresh).class_probabilities[np.arange(300), answers]
        known.append(prior - float(-np.log(chances).mean()))
    assert known[0] > 0.3
    assert known[1] < known[0] / 2


def test_no_training_row_sees_a_label_that_was_not_known_yet() -> None:
    X, y = data(300)
    # Every label is known after the last decision: there is nothing to remember, in training and in its score.
    metrics = Hrm(MEMORY).fit(only(X, "tokens", "patterns"), y, None, None, spans=spans(300, hours=1000))
    assert metrics.train_accuracy < 0.7  # the tokens are noise: some of it is learnt by heart
    # And other patterns cannot matter: nothing of them was seen.
    mirrored = NamedInputs({"tokens": X["tokens"], "patterns": -X["patterns"][:]})
    again = Hrm(MEMORY).fit(mirrored, y, None, None, spans=spans(300, hours=1000))
    assert again.history["train_loss"] == metrics.history["train_loss"]
    assert again.train_loss == metrics.train_loss


def test_what_was_saved_answers_as_before_and_in_equal_bytes(tmp_path: Path) -> None:
    X, y = data(150)
    config = {**ALL_ON, "epochs": 2}
    for name in ("one", "two"):
        model = Hrm(config)
        model.fit(X, y, X.take(np.arange(40)), y[:40], spans=spans(150, hours=2))
        model.save(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert Path("library/library.safetensors") in files
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)
    loaded = Hrm()
    loaded.load(tmp_path / "one")
    assert np.array_equal(loaded.predict(X).class_probabilities, model.predict(X).class_probabilities)
    (tmp_path / "one/library/library.safetensors").write_bytes(b"no tensors")
    with pytest.raises(BrokenArtifact, match="library"):
        Hrm().load(tmp_path / "one")


def test_each_path_has_its_own_answer() -> None:
    X, y = data(150)
    answers = []
    paths = ("enable_regime", "enable_rag", "enable_hybrid")
    for on in ((), paths[:1], paths[1:2], paths[:2], paths):
        model = Hrm({**QUICK, "epochs": 2, **dict.fromkeys(on, True)})
        given = only(X, *model.inputs)
        model.fit(given, y, None, None, spans=spans(150, hours=2))
        answers.append(model.predict(given).class_probabilities)
        assert np.allclose(answers[-1].sum(axis=1), 1)
    for at, one in enumerate(answers):
        assert not any(np.allclose(one, other) for other in answers[at + 1 :])


def test_the_classifier_learns_the_rules_regimes_and_nothing_after() -> None:
    X, y = data(300)
    given = only(X, "tokens", "regime")
    weights = []
    for epochs in (1, 4):
        model = Hrm({**QUICK, "enable_regime": True, "epochs": epochs, "schedule_epochs": 4})
        model.fit(given, y, None, None)
        weights.append(model._fitted.network.conditioning.regime_classifier.state_dict())
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    untaught = Hrm({**QUICK, "enable_regime": True, "epochs": 1, "regime_epochs": 1})
    untaught.fit(given, y, None, None)
    other = untaught._fitted.network.conditioning.regime_classifier.state_dict()
    assert not all(np.array_equal(weights[0][name], other[name]) for name in other)


def test_the_regimes_of_each_row_are_told_where_they_are_asked_for() -> None:
    X, y = data(150)
    asked, silent = Hrm({**QUICK, "epochs": 1, "enable_regime": True}), Hrm({**QUICK, "epochs": 1})
    for model in (asked, silent):
        model.fit(only(X, *model.inputs), y, None, None)
    told = asked.predict(only(X, *asked.inputs)).outputs
    assert "regime_low_vol" in told and len(told) == 8
    assert np.allclose(sum(told.values()), 1)
    assert silent.predict(only(X, *silent.inputs)).outputs == {}


def test_a_library_larger_than_allowed_is_thinned_over_all_of_history() -> None:
    X, y = data(200)
    model = Hrm({**MEMORY, "epochs": 1, "max_patterns": 30})
    model.fit(only(X, "tokens", "patterns"), y, None, None, spans=spans(200, hours=2))
    assert 20 <= len(model.library) <= 30
    assert model.library.known.min() <= 10 * HOUR
    assert model.library.known.max() >= 190 * HOUR


def test_rows_of_weight_0_are_not_remembered() -> None:
    X, y = data(100)
    weights = np.ones(100)
    weights[60:] = 0
    model = Hrm({**MEMORY, "epochs": 1})
    model.fit(only(X, "tokens", "patterns"), y, None, None, sample_weights=weights, spans=spans(100, hours=2))
    assert len(model.library) == 60
    assert model.library.known.max() == 61 * HOUR


def test_it_remembers_more_while_it_serves(tmp_path: Path) -> None:
    X, y = data(150)
    given = only(X, "tokens", "patterns")
    model = Hrm({**MEMORY, "epochs": 3})
    model.fit(given, y, None, None, spans=spans(150, hours=2))
    before = model.predict(given).class_probabilities
    row = np.asarray(given["patterns"][:1])[0]
    turned = np.eye(2, dtype="float32")[1 - y[0]]
    model.remember(model.library.extended([Pattern(row, turned, known=500 * HOUR)] * 4))
    after = model.predict(given).class_probabilities
    assert not np.array_equal(after[0], before[0])
    model.save(tmp_path)
    again = Hrm()
    again.load(tmp_path)
    assert len(again.library) == 154
    assert np.array_equal(again.predict(given).class_probabilities, after)


class HangingIndex(VectorIndex):
    def __init__(self) -> None:
        self.let = threading.Event()

    def search(self, library, queries, as_of, count) -> Neighbours:
        self.let.wait(60)
        raise TimeoutError


def test_a_hanging_index_keeps_no_answer_back() -> None:
    X, y = data(100)
    given = only(X, "tokens", "patterns")
    model = Hrm({**MEMORY, "epochs": 2, "retrieval_timeout_ms": 20.0})
    model.fit(given, y, None, None, spans=spans(100, hours=2))
    conditioning = model._fitted.network.conditioning
    assert conditioning.timeout_ms == 20.0
    hanging = conditioning.pattern_rag._index = HangingIndex()
    found = model.predict(given)
    hanging.let.set()
    assert np.allclose(found.class_probabilities.sum(axis=1), 1)
    assert conditioning.pattern_rag.guard.breaker.last_failure == "it was not answered in time"


def test_what_it_cannot_do_is_refused() -> None:
    X, y = data(50)
    with pytest.raises(BadModelInput, match="both paths"):
        Hrm({"enable_hybrid": True, "enable_rag": True})
    with pytest.raises(BadModelInput, match="preset"):
        Hrm({"preset": "huge"})
    with pytest.raises(BadModelInput, match="without the spans"):
        Hrm(MEMORY).fit(only(X, "tokens", "patterns"), y, None, None)
    with pytest.raises(BadModelInput, match="ends where it starts"):
        Hrm(MEMORY).fit(only(X, "tokens", "patterns"), y, None, None, spans=spans(50, hours=0))
    with pytest.raises(BadModelInput, match="tokens, patterns"):
        Hrm(MEMORY).fit(only(X, "tokens"), y, None, None, spans=spans(50, hours=2))
    with pytest.raises(BadModelInput, match="not fitted"):
        _ = Hrm(MEMORY).library


def test_a_run_with_every_path_on_is_trained_stored_and_evaluated(tmp_path: Path) -> None:
    bars = random_bars(500, 3)
    columns = declared("hrm").columns
    values = np.abs(np.random.default_rng(1).normal(size=(len(bars), len(columns)))).astype("float32")
    features = pd.concat([bars[["timestamp", "symbol"]], pd.DataFrame(values, columns=columns)], axis=1)
    labels = labelling.label("direction", bars)
    folds = splits.split("walk_forward", labels, folds=2, embargo="1D")
    run = train(
        *(features, labels, folds),
        run="r",
        model="hrm",
        set="hrm",
        target="direction",
        seed=7,
        config={**ALL_ON, "epochs": 1, "max_patterns": 50},
        classes=3,
    ).models
    run.save(tmp_path)
    assert len(list(tmp_path.rglob("library.safetensors"))) == 3  # of two folds and of the final model
    loaded = TrainedRun.load(tmp_path)
    newest = features.tail(20)[["timestamp", "symbol"]]
    one, other = (each.predict(None, features, newest).output.class_probabilities for each in (run, loaded))
    assert one.shape == (20, 3)
    assert np.array_equal(one, other)


def test_the_full_preset_has_its_size() -> None:
    from betti.models._torch import Shape

    network = Hrm({"preset": "full"}).network(Shape({"tokens": (64, 50)}, classes=3))
    assert 20.0e6 < sum(one.numel() for one in network.parameters()) < 20.6e6


def test_trains_where_torch_and_numpy_are_all_there_is() -> None:
    absent = ["pandas", "sklearn", "pydantic", "safetensors", "hnswlib", "pyarrow", "scipy", "yaml"]
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({absent!r}))\n"
        "import numpy as np\n"
        "from betti.models.hrm import Hrm\n"
        "from betti.windows import NamedInputs\n"
        "rng = np.random.default_rng(0)\n"
        f"shapes = {{'tokens': (64, {LENGTH}, 3), 'regime': (64, {PAST}, 20), 'patterns': (64, 16)}}\n"
        "X = NamedInputs({name: np.abs(rng.normal(size=one)).astype('float32') for name, one in shapes.items()})\n"
        "start = np.arange(64)\n"
        f"model = Hrm({ {**ALL_ON, 'epochs': 1}!r})\n"
        "model.fit(X, np.arange(64) % 2, None, None, spans=(start, start + 2))\n"
        "print(model.predict(X).class_probabilities.shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.strip() == "(64, 2)", done.stderr
