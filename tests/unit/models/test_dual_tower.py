from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from betti.errors import BadModelInput, BrokenArtifact, MissingFile
from betti.features import sets
from betti.labelling import relevance
from betti.models import ModelRegistry
from betti.models._protocol import Answers
from betti.models.dual_tower import DualTower
from betti.networks.dual_tower import DualTowerRelevanceModel, parameter_groups
from betti.training import resume
from betti.windows import NamedInputs, Rows

SMALL = {**DualTower.SMALL, "epochs": 4}
NEWS, RETURNS = slice(0, 8), slice(0, 9)


def data(rows: int = 600, seed: int = 0) -> tuple[NamedInputs, Answers]:
    """News say a sign, returns a move; context supports the move where both agree, over 30 days the other way round."""
    rng = np.random.default_rng(seed)
    context, stock = (rng.normal(size=(rows, width)).astype("float32") for width in (25, 62))
    sign, move = np.sign(rng.normal(size=(rows, 1))), rng.normal(size=(rows, 1))
    context[:, NEWS] += 2 * sign
    stock[:, RETURNS] += 2 * move
    week = np.tanh(sign * move).ravel()
    scores = {"score_7d": week, "score_30d": -week}
    directions = {f"direction_{one}": relevance.direction_of(scores[f"score_{one}"]) for one in ("7d", "30d")}
    answers = Answers(directions["direction_7d"].astype("int64"), {**scores, **directions})
    return NamedInputs({"context": context, "stock": stock}), answers


def of_month(answers: Answers) -> Answers:
    """The same answers of a target that learns the 30 days first."""
    return replace(answers, classes=answers.heads["direction_30d"].astype("int64"))


def with_head(answers: Answers, name: str, values: np.ndarray) -> Answers:
    return replace(answers, heads={**answers.heads, name: values})


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def fitted(config: dict | None = None, rows: int = 200) -> DualTower:
    X, y = data(rows)
    model = DualTower({**SMALL, **(config or {})})
    model.fit(X, y, None, None)
    return model


# What it is --------------------------------------------------------------------------------------------------------


def test_defaults_are_the_published_ones():
    config = ModelRegistry.get_model_info("dual_tower").default_config
    wanted = {
        **{"batch_size": 32, "epochs": 100, "patience": 15, "min_delta": 1e-4, "clip": 1.0, "warmup_epochs": 5},
        **{"schedule": "cosine", "checkpoints": 3, "learning_rate": 1e-3, "stock_share": 0.5, "weight_decay": 1e-5},
        **{"head_weight_decay": 1e-4, "context_dropout": 0.2, "stock_dropout": 0.3, "regularization_weight": 0.01},
        **{"stop_weight_7d": 0.4, "stop_weight_30d": 0.4, "stop_weight_regularization": 0.2},
    }
    assert {name: config[name] for name in wanted} == wanted


def test_inputs_and_heads_are_declared_elsewhere_too():
    model = DualTower()
    assert {spec.set for spec in model.inputs.values()} <= set(sets())
    assert not model.requires_sequences
    assert set(model.heads) <= set(relevance.COLUMNS)


def test_parts_learn_at_their_own_rates():
    network = DualTowerRelevanceModel()
    groups = DualTower({"learning_rate": 2e-3}).groups(network)
    assert [(one.learning_rate, one.weight_decay) for one in groups] == [(2e-3, 1e-5), (1e-3, 1e-5), (2e-3, 1e-4)]
    assert [len(one.parameters) for one in groups] == [len(one["params"]) for one in parameter_groups(network)]


# What it learns ----------------------------------------------------------------------------------------------------


def test_a_planted_relation_is_learnt():
    X, y = data(1800)
    learnt, rest = np.arange(1000), np.arange(1000, 1800)
    model = DualTower({**SMALL, "epochs": 10})
    metrics = model.fit(X.take(learnt), y.take(learnt), X.take(rest[:400]), y.take(rest[:400]))
    tested = y.take(rest[400:])
    said = model.predict(X.take(rest[400:]))
    assert metrics.val_accuracy > 0.75
    assert (said.class_predictions == tested.classes).mean() > 0.75
    for name in ("score_7d", "score_30d"):
        assert said.outputs[name].shape == (400,)
        assert np.corrcoef(said.outputs[name], tested.heads[name])[0, 1] > 0.8
    # A likely class and its score point the same way: the label's order is that of the probabilities.
    tilt = said.class_probabilities[:, relevance.POSITIVE] - said.class_probabilities[:, relevance.NEGATIVE]
    assert np.corrcoef(tilt, said.outputs["score_7d"])[0, 1] > 0.9
    heard = model.ablation(X.take(rest[400:]))
    assert set(sorted(heard, key=heard.__getitem__)[-2:]) == {"context:news", "stock:returns"}


def test_the_horizon_says_whose_direction_is_the_class():
    X, y = data(800)
    month = DualTower({**SMALL, "horizon": "30d", "epochs": 8})
    month.fit(X, of_month(y), None, None)
    assert (month.predict(X).class_predictions == y.heads["direction_30d"]).mean() > 0.75
    with pytest.raises(BadModelInput, match=r"directions over 30d.*Set horizon: 30d"):
        DualTower(SMALL).fit(X, of_month(y), None, None)


def test_early_stopping_watches_the_three_parts():
    X, y = data()
    history = {}
    for name, shares in {
        "all": {},
        "week": {"stop_weight_30d": 0.0, "stop_weight_regularization": 0.0},
        "month": {"stop_weight_7d": 0.0, "stop_weight_regularization": 0.0},
        "regularization": {"stop_weight_7d": 0.0, "stop_weight_30d": 0.0},
    }.items():
        found = DualTower({**SMALL, **shares}).fit(X, y, X, y).history
        history[name] = np.array(found["val_score"])
        # Nothing but what is watched differs: the training is the same.
        assert found["train_loss"] == history.setdefault("train_loss", found["train_loss"])
    np.testing.assert_allclose(
        history["all"], history["week"] + history["month"] + history["regularization"], rtol=1e-5
    )
    whole = (history["week"] + history["month"]) / 0.4 + 0.01 * history["regularization"] / 0.2
    np.testing.assert_allclose(found["val_loss"], whole, rtol=1e-4)


def test_what_the_label_leaves_open_is_not_learnt():
    X, y = data(300)
    first = np.arange(300) < 150

    def answered(wrong: float) -> np.ndarray:
        """What is said of 30 days by a model whose second half of labels is this."""
        told = with_head(y, "score_30d", np.where(first, y.heads["score_30d"], wrong))
        told = with_head(told, "direction_30d", np.where(first, y.heads["direction_30d"], np.nan))
        model = DualTower(SMALL)
        model.fit(X, told, None, None)
        return model.predict(X).outputs["score_30d"]

    opened = answered(np.nan)
    assert np.isfinite(opened).all()
    assert np.abs(opened - answered(1.0)).mean() > 0.05


def test_resident_rows_give_what_arrays_give():
    X, y = data(120)
    at = np.random.default_rng(1).permutation(120)
    views = NamedInputs({name: Rows(np.asarray(part), at) for name, part in X.items()})
    lazy, whole = DualTower(SMALL), DualTower(SMALL)
    lazy.fit(views, y.take(at), None, None)
    whole.fit(X.take(at), y.take(at), None, None)
    np.testing.assert_array_equal(
        lazy.predict(views).class_probabilities, whole.predict(X.take(at)).class_probabilities
    )


# Files and interruptions -------------------------------------------------------------------------------------------


def test_a_saved_model_answers_exactly_the_same(tmp_path: Path):
    X, _ = data(50)
    model = fitted({"horizon": "7d"})
    model.save(tmp_path / "one")
    again = DualTower()
    again.load(tmp_path / "one")
    again.save(tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    one, other = model.predict(X), again.predict(X)
    np.testing.assert_array_equal(one.class_probabilities, other.class_probabilities)
    np.testing.assert_array_equal(one.outputs["score_30d"], other.outputs["score_30d"])
    assert 1.3e6 < len(files(tmp_path / "one")["network.safetensors"]) < 1.6e6


def test_an_interrupted_training_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    X, y = data(200)

    def train(name: str, dies_at: int) -> list[int]:
        seen: list[int] = []

        def told(epoch: int, *_: object) -> None:
            seen.append(epoch)
            if epoch == dies_at:
                raise KeyboardInterrupt

        monkeypatch.setattr("betti.training.loop.tell", told)
        model = DualTower({**SMALL, "stock_dropout": 0.3})
        with resume.resuming(tmp_path / "state", code="a", every=0.0):
            model.fit(X, y, X, y)
        model.save(tmp_path / name)
        return seen

    with pytest.raises(KeyboardInterrupt):
        train("never", dies_at=3)
    assert train("resumed", dies_at=0) == [3, 4]
    assert train("whole", dies_at=0) == [1, 2, 3, 4]
    assert files(tmp_path / "resumed") == files(tmp_path / "whole")


def test_weights_of_another_network_are_refused(tmp_path: Path):
    model = fitted()
    model.save(tmp_path)
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(text.replace("62", "61"))
    with pytest.raises(BrokenArtifact, match="does not fit"):
        DualTower().load(tmp_path)


# Refusals ----------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused():
    X, y = data(100)
    with pytest.raises(BadModelInput, match=r"2 classes.*three directions of the target `relevance`"):
        DualTower({**SMALL, "classes": 2}).fit(X, replace(y, classes=y.classes // 2), None, None)
    with pytest.raises(BadModelInput, match="'direction_30d' holds values that are no directions"):
        DualTower(SMALL).fit(X, with_head(y, "direction_30d", y.heads["direction_30d"] - 1), None, None)
    with pytest.raises(BadModelInput, match="horizon = '9d'"):
        DualTower({"horizon": "9d"})
    with pytest.raises(BadModelInput, match="stock_dropout"):
        DualTower({"stock_dropout": 0.99})
    with pytest.raises(BadModelInput, match="not fitted"):
        DualTower().ablation(X)


def test_trains_where_torch_and_numpy_are_all_there_is():
    absent = ["pandas", "sklearn", "pydantic", "safetensors", "lightgbm", "pyarrow", "scipy", "yaml"]
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({absent!r}))\n"
        "import numpy as np\n"
        "from betti.models import ModelRegistry\n"
        "from betti.models._protocol import Answers\n"
        "from betti.windows import NamedInputs\n"
        "rng = np.random.default_rng(0)\n"
        "X = NamedInputs({'context': rng.normal(size=(64, 25)), 'stock': rng.normal(size=(64, 62))})\n"
        "y = rng.integers(0, 3, 64)\n"
        "heads = {'score_7d': y - 1.0, 'score_30d': y - 1.0, 'direction_7d': y * 1.0, 'direction_30d': y * 1.0}\n"
        f"model = ModelRegistry.create('dual_tower', { ({**SMALL, 'epochs': 1})!r})\n"
        "model.fit(X, Answers(y, heads), X, Answers(y, heads))\n"
        "print(model.predict(X).class_probabilities.shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.strip() == "(64, 3)", done.stderr


def test_global_generators_are_left_alone():
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    fitted(rows=100)
    assert torch.equal(torch.rand(1), wanted)


# Where it puts the rows -------------------------------------------------------------------------------------------


def test_rows_lie_in_the_plane_in_which_the_training_rows_spread_most(tmp_path: Path):
    from sklearn.decomposition import PCA

    X, y = data(300)
    model = DualTower(SMALL)
    model.fit(X.take(np.arange(200)), y.take(np.arange(200)), None, None)

    def joint(rows: np.ndarray) -> np.ndarray:
        network = model._fitted.network
        parts = (torch.from_numpy(np.array(X.take(rows)[name][:])) for name in ("context", "stock"))
        return torch.cat(list(network.predict_with_embeddings(*parts)[1].values()), dim=1).double().numpy()

    oracle = PCA(2).fit(joint(np.arange(200)))
    wanted = oracle.transform(joint(np.arange(200, 300)))
    said = model.predict(X.take(np.arange(200, 300))).outputs
    for place in (0, 1):
        found = said[f"embedding_{place + 1}"]
        turned = np.sign((found * wanted[:, place]).sum())
        np.testing.assert_allclose(found, turned * wanted[:, place], rtol=1e-3, atol=1e-4)
    one = model.predict(X.take(np.array([250]))).outputs["embedding_1"]
    assert one[0] == pytest.approx(said["embedding_1"][50], rel=1e-5), "a row's place does not depend on the others"
    model.save(tmp_path)
    again = DualTower()
    again.load(tmp_path)
    np.testing.assert_array_equal(
        again.predict(X.take(np.arange(200, 300))).outputs["embedding_2"], said["embedding_2"]
    )
    (tmp_path / "embedding.safetensors").unlink()
    with pytest.raises(MissingFile, match="embedding"):
        DualTower().load(tmp_path)


def test_a_second_training_has_a_plane_of_its_own():
    X, y = data(200)
    other, answers = data(200, seed=4)
    model, fresh = DualTower(SMALL), DualTower(SMALL)
    model.fit(X, y, None, None)
    model.fit(other, answers, None, None)
    fresh.fit(other, answers, None, None)
    np.testing.assert_array_equal(model.predict(X).outputs["embedding_1"], fresh.predict(X).outputs["embedding_1"])
