from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from betti.errors import BrokenArtifact, MissingFile
from betti.labelling.expansion import sequences
from betti.networks.jade import COUNTDOWN_UNIT, JadeCompact, write_encoder
from betti.networks.jade_training import COLUMNS, JadeLearner, JadeLoss, parameter_groups, raw_losses, unfold
from betti.networks.pretraining import MaskedReconstruction, pretrain
from betti.training.problem import Settings
from tests.unit.networks.planted import planted

NAN = float("nan")
LOOP = {
    **{"epochs": 15, "schedule_epochs": 0, "batch_size": 20, "learning_rate": 1e-2, "weight_decay": 0.0},
    **{"clip": 1.0, "warmup_epochs": 0, "patience": 9, "min_delta": 0.0, "seed": 7},
}


GIVES = ["logits", "pointers", "expansion_binary_logits", "expansion_countdown", "log_sigmas"]


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def small(**knobs) -> JadeCompact:
    torch.manual_seed(0)
    return JadeCompact(**{"hidden_size": 4, "dropout": 0.0, **knobs})


def labels(**columns) -> dict[str, torch.Tensor]:
    rows = max(len(values) for values in columns.values())
    absent = {"start": NAN, "end": NAN, "type": NAN, "begun": 0.0, "ahead": 0.0}
    return {name: torch.tensor(columns.get(name, [absent[name]] * rows)) for name in COLUMNS}


# The network


def test_it_has_its_published_parameters():
    network = JadeCompact(input_size=12, predict_pointers=True, predict_expansion_sequence=True)
    assert count(network) == count(JadeCompact()) == 97_547
    sigmas = network.log_sigmas().tolist()
    assert sigmas == pytest.approx([-0.30, 0.0, 0.0, 0.0])
    assert {"log_sigma_ptr", "log_sigma_type", "log_sigma_binary", "log_sigma_countdown"} <= set(network.state_dict())


def test_what_it_says():
    said = JadeCompact()(torch.randn(3, 105, 12))
    assert {name: tuple(value.shape) for name, value in said.items()} == {
        "logits": (3, 3),
        "pointers": (3, 2),
        "expansion_binary_logits": (3, 105),
        "expansion_binary": (3, 105),
        "expansion_countdown": (3, 105),
    }
    assert torch.equal(said["expansion_binary"], torch.sigmoid(said["expansion_binary_logits"]))
    assert ((said["pointers"] > 0) & (said["pointers"] < 1)).all()
    assert list(JadeLearner(JadeCompact())(torch.randn(3, 105, 12))) == GIVES


def test_heads_may_be_left_out():
    bars = torch.randn(2, 10, 12)
    assert list(small(predict_pointers=False, predict_expansion_sequence=False)(bars)) == ["logits"]
    assert list(small(predict_expansion_sequence=False)(bars)) == ["logits", "pointers"]
    assert count(JadeCompact(predict_pointers=False)) == 97_547 - 130
    assert count(JadeCompact(predict_expansion_sequence=False)) == 97_547 - 386


# What a label asks


def test_unfolding_is_that_of_the_target():
    made = planted(300, seed=3)
    table = pd.DataFrame(made.labels)
    table.loc[:20, ["begun", "start", "type"]] = [1.0, -4.0, NAN]
    table.loc[:20, "end"] = np.arange(21.0)
    columns = {name: torch.tensor(table[name].to_numpy(copy=True)) for name in COLUMNS}
    found, wanted = unfold(columns, 105), sequences(table, 105)
    for name in ("mask", "countdown", "pointers", "type"):
        np.testing.assert_allclose(getattr(found, name).numpy(), getattr(wanted, name), rtol=1e-6, err_msg=name)


def test_the_documented_example():
    found = unfold(labels(start=[50.0], end=[65.0], type=[0.0]), 105)
    assert found.mask.nonzero()[:, 1].tolist() == list(range(50, 66))
    assert found.countdown[0, [45, 50, 55]].tolist() == [5, 0, -5]
    assert found.pointers[0].tolist() == pytest.approx([57.5 / 104, 16 / 105])


def test_each_loss_is_asked_where_the_label_says():
    """In turn: inside the window, ahead of it, begun before it, none."""
    columns = labels(
        start=[50.0, 110.0, -3.0, NAN], end=[65.0, NAN, 9.0, NAN], type=[1.0, 2.0, NAN, NAN],
        begun=[0.0, 0.0, 1.0, 0.0], ahead=[0.0, 1.0, 0.0, 0.0],
    )  # fmt: skip
    losses, asked = raw_losses(JadeCompact()(torch.randn(4, 105, 12)), unfold(columns, 105))
    assert asked.int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0]]
    assert torch.isfinite(losses).all()


def test_losses_are_the_formulas():
    columns = labels(start=[50.0], end=[65.0], type=[1.0])
    said = {
        "logits": torch.tensor([[0.0, 1.0, -1.0]]),
        "pointers": torch.tensor([[0.5, 0.2]]),
        "expansion_binary_logits": torch.full((1, 105), -1.0),
        "expansion_countdown": torch.full((1, 105), 10.0),
    }
    found = [float(value) for value in raw_losses(said, unfold(columns, 105))[0][:, 0]]
    pointers = ((57.5 / 104 - 0.5) ** 2 + (16 / 105 - 0.2) ** 2) / 2 / 2
    kind = -1 + np.log(np.exp([0.0, 1.0, -1.0]).sum())
    chance = 1 / (1 + np.exp(1.0))
    binary = -(16 * np.log(chance) + 89 * np.log(1 - chance)) / 105
    off = np.abs(10 - (50 - np.arange(105))) / COUNTDOWN_UNIT
    countdown = np.where(off < 1, off**2 / 2, off - 0.5).mean()
    assert found == pytest.approx([pointers, kind, binary, countdown], rel=1e-5)


def test_a_batch_without_any_expansion_teaches_the_mask_alone():
    learner, loss = JadeLearner(small()), JadeLoss()
    found = loss(learner(torch.randn(4, 105, 12)), labels(start=[NAN] * 4), torch.ones(4))
    found.mean().backward()
    network = learner.network
    assert network.expansion_binary_head.weight.grad.abs().sum() > 0
    for head in (network.classifier, network.pointer_head, network.expansion_countdown_head):
        assert not head.weight.grad.any()
    assert all(parameter.grad is None or torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_weights_are_those_of_rows():
    """A row of weight 2 counts as the same row twice."""
    made = planted(6, plain=0.0)
    learner, bars = JadeLearner(small().eval()), torch.from_numpy(made.windows)
    columns = {name: torch.from_numpy(made.labels[name]) for name in COLUMNS}
    twice = torch.tensor([0, 0, 1, 2, 3, 4, 5])
    losses = [JadeLoss(), JadeLoss()]
    weighted = losses[0](learner(bars), columns, torch.tensor([2.0, 1, 1, 1, 1, 1]) * 6 / 7).mean()
    repeated = losses[1](learner(bars[twice]), {k: v[twice] for k, v in columns.items()}, torch.ones(7)).mean()
    assert losses[0].epoch_ended() == pytest.approx(losses[1].epoch_ended(), rel=1e-4)
    assert weighted.item() == pytest.approx(repeated.item(), rel=1e-4)


def test_log_sigmas_have_a_rate_of_their_own():
    network = small()
    (group,) = parameter_groups(network, 0.05)
    assert [id(one) for one in group.parameters] == [
        id(one) for name, one in network.named_parameters() if "sigma" in name
    ]
    assert (group.learning_rate, group.weight_decay) == (0.05, 0.0)


# Pre-training


def waves(rows: int, seed: int = 0) -> np.ndarray:
    """Windows whose bars tell of each other: three slow waves, mixed into twelve columns."""
    draw = np.random.default_rng(seed)
    phase = draw.random((rows, 1, 3)) * 2 * np.pi
    slow = np.sin(phase + np.arange(40)[None, :, None] * np.array([0.1, 0.2, 0.3]))
    return (slow @ np.random.default_rng(9).normal(size=(3, 12))).astype("float32")


def test_hidden_bars_are_guessed_better_than_by_their_mean():
    windows, network = waves(160), small(hidden_size=16)
    heads = network.classifier.weight.clone()
    outcome = pretrain(network, windows, Settings(**LOOP), "cpu", valid=waves(40, seed=1))
    variance = float((windows**2).mean())
    assert outcome.history["val_loss"][-1] < 0.65 * variance < 0.9 * variance < outcome.history["val_loss"][0]
    assert torch.equal(network.classifier.weight, heads)


def test_what_is_hidden_is_not_seen_and_what_is_seen_is_not_judged():
    judge = MaskedReconstruction(small()).eval()
    bars = torch.randn(3, 40, 12)
    hidden = judge.fixed(bars)
    assert 0 < hidden.float().mean() < 0.5
    states = []
    judge.network.lstm.register_forward_hook(lambda _, given, __: states.append(given[0]))
    judge(bars)
    assert not states[0][hidden].any() and torch.equal(states[0][~hidden], bars[~hidden])
    with torch.no_grad():
        judge.decoder.weight.zero_()
    changed = torch.where(hidden[:, :, None], bars, bars + 5)
    torch.testing.assert_close(judge(bars), judge(changed))


def test_about_the_wanted_share_is_hidden_in_runs():
    torch.manual_seed(0)
    judge = MaskedReconstruction(small(), share=0.15, run=5)
    hidden = judge.drawn(torch.zeros(400, 105, 12))
    assert 0.13 < float(hidden.float().mean()) < 0.17
    edges = hidden.int().diff(dim=1)
    begins, ends = (edges == 1).nonzero(), (edges == -1).nonzero()
    first = {int(row): int(at) for row, at in begins.flip(0)}
    last = {int(row): int(at) for row, at in ends.flip(0) if int(row) in first and int(at) > first[int(row)]}
    assert last and min(at - first[row] for row, at in last.items()) >= 5


def test_a_frozen_encoder_learns_from_hidden_bars_and_stays_frozen():
    network = small()
    network.freeze_encoder()
    before = network.lstm.weight_ih_l0.clone()
    pretrain(network, waves(40), Settings(**{**LOOP, "epochs": 1}), "cpu")
    assert not torch.equal(network.lstm.weight_ih_l0, before)
    assert not network.lstm.weight_ih_l0.requires_grad


def test_a_pretrained_encoder_is_taken_and_may_be_frozen(tmp_path):
    source = small()
    write_encoder(source, tmp_path / "encoder.safetensors")
    network = JadeCompact.from_pretrained(tmp_path / "encoder.safetensors", freeze_encoder=True, hidden_size=4)
    for name, value in source.lstm.state_dict().items():
        assert torch.equal(network.lstm.state_dict()[name], value)
    assert not any(parameter.requires_grad for parameter in network.lstm.parameters())
    assert all(parameter.requires_grad for parameter in network.classifier.parameters())
    free = JadeCompact.from_pretrained(tmp_path / "encoder.safetensors", hidden_size=4)
    assert all(parameter.requires_grad for parameter in free.parameters())
    write_encoder(free, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "encoder.safetensors").read_bytes()


def test_bad_encoder_files_are_named(tmp_path):
    with pytest.raises(MissingFile, match=r"absent\.safetensors"):
        JadeCompact.from_pretrained(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors at all")
    with pytest.raises(BrokenArtifact, match="is not a safetensors file"):
        JadeCompact.from_pretrained(tmp_path / "text.safetensors")
    write_encoder(small(), tmp_path / "small.safetensors")
    with pytest.raises(BrokenArtifact, match="of this size"):
        JadeCompact.from_pretrained(tmp_path / "small.safetensors", hidden_size=5)
