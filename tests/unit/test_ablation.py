"""What a part of a model is worth: variants, and differences paired by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from betti import ablation
from betti.ablation import NothingToAblate, OtherRows, Variant, compared, variants
from betti.metrics.significance import Bootstrap
from betti.models import ModelRegistry
from betti.models.film import Film
from betti.models.logistic import Logistic
from tests.conftest import random_bars

DRAWS = Bootstrap(500, 0.95, 7, 3)
ONE = Variant("without x", {"mute": "x"}, {"mute": "x"}, 7)


def predictions(chance: np.ndarray, happened: np.ndarray) -> pd.DataFrame:
    rows = len(chance)
    return pd.DataFrame(
        {
            "timestamp": pd.date_range("2001-01-01", periods=rows, tz="UTC"),
            "symbol": "AAA",
            "fold": np.repeat([0, 1], [rows // 2, rows - rows // 2]),
            "model": "m",
            "run": "r",
            "p_0": 1 - chance,
            "p_1": chance,
            "prediction": (chance > 0.5).astype(float),
            "label": happened.astype(float),
        }
    )


def losses(chance: np.ndarray, happened: np.ndarray) -> np.ndarray:
    return -np.log(np.where(happened > 0, chance, 1 - chance))


def planted(rows: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.1, 0.9, rows)
    return chance, (rng.random(rows) < chance).astype(int)


def test_a_part_that_knows_something_is_worth_what_it_knows() -> None:
    chance, happened = planted()
    blind = np.full(len(chance), happened.mean())
    found = compared(ONE, predictions(chance, happened), predictions(blind, happened), DRAWS)
    assert found.loss.estimate == pytest.approx((losses(blind, happened) - losses(chance, happened)).mean())
    assert found.log_loss == pytest.approx(losses(blind, happened).mean())
    assert 0 < found.loss.low < found.loss.estimate < found.loss.high
    turned = compared(ONE, predictions(blind, happened), predictions(chance, happened), DRAWS)
    assert turned.loss.high < 0 and turned.loss.estimate == pytest.approx(-found.loss.estimate)


def test_two_that_differ_by_luck_alone_are_not_told_apart() -> None:
    chance, happened = planted()
    rng = np.random.default_rng(1)
    one, other = (np.clip(chance + rng.normal(0, 0.05, len(chance)), 0.05, 0.95) for _ in range(2))
    found = compared(ONE, predictions(one, happened), predictions(other, happened), DRAWS)
    assert found.loss.low < 0 < found.loss.high
    same = compared(ONE, predictions(one, happened), predictions(one, happened), DRAWS).loss
    assert (same.low, same.estimate, same.high) == (0, 0, 0)


def test_rows_are_paired_whatever_their_order() -> None:
    chance, happened = planted()
    blind = predictions(np.full(len(chance), 0.4), happened)
    own = predictions(chance, happened)
    plain = compared(ONE, own, blind, DRAWS)
    assert compared(ONE, own.sample(frac=1, random_state=3), blind, DRAWS) == plain


def test_other_rows_are_refused() -> None:
    table = predictions(*planted())
    with pytest.raises(OtherRows, match="'without x' answers for 399 test rows, and the run for 399 of them"):
        compared(ONE, table, table.iloc[1:], DRAWS)
    with pytest.raises(OtherRows, match="answers for 400 test rows, and the run for 200 of them"):
        compared(ONE, table.assign(fold=0), table, DRAWS)


def test_intervals_are_drawn_in_blocks_as_long_as_a_label() -> None:
    bars = random_bars(50)
    labels = bars[["timestamp", "symbol"]].assign(span_end=bars["timestamp"] + pd.Timedelta("6D")).iloc[:-6]
    assert ablation.bootstrap(labels, bars, 100, 0.9, 3) == Bootstrap(100, 0.9, 3, 6)


# Variants -----------------------------------------------------------------------------------------------------------


def test_variants_are_the_model_s_own_and_the_run_with_another_seed() -> None:
    config = {"epochs": 2}
    found = variants("r", "film", Film(config), config, 7)
    assert [one.name for one in found] == ["concat", "without topology", "without complexity", "another seed"]
    assert found[1] == Variant("without topology", {"mute": "topology"}, {"epochs": 2, "mute": "topology"}, 7)
    assert (found[-1].changed, found[-1].config, found[-1].seed) == ({}, config, 8)
    for one in found:
        ModelRegistry.create("film", dict(one.config))


def test_what_the_run_is_already_is_no_variant_of_it() -> None:
    config = {"fusion_type": "concat"}
    assert "concat" not in [one.name for one in variants("r", "film", Film(config), config, 7)]


def test_a_model_without_variants_is_refused() -> None:
    with pytest.raises(NothingToAblate, match="'logistic' has no variants"):
        variants("r", "logistic", Logistic(), {}, 7)

    class Weak(Logistic):
        VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"weak": {"C": 0.5}}

    with pytest.raises(NothingToAblate, match="one of them already"):
        variants("r", "logistic", Weak({"C": 0.5}), {"C": 0.5}, 7)
