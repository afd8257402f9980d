"""Every target of the preset for 15-minute bars on a real market, cut into folds: spans, weights and class shares.

Two years of a perpetual that never closes. What is held here in numbers is held as a law, on any bars, in
`test_targets.py` and `test_splits.py`; this test skips where the recorded bars are not there.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from betti import labelling, splits
from betti.schemas import ROLES
from betti.stages.labels import labels as labels_stage
from betti.stages.split import split as split_stage
from betti.training.fold_roles import FoldRoles
from betti.training.leaks import overlapping, refuse_leaks
from tests.conftest import REPOSITORY
from tests.unit.sources.files import MARKET, recorded

PRESET = yaml.safe_load((REPOSITORY / "docs" / "presets" / "15m.yaml").read_text(encoding="utf-8"))
TARGETS: dict[str, dict[str, Any]] = PRESET["targets"]
BAR = pd.Timedelta("15min")
# Kind -> the share of each class, lowest and highest, and bars that spans reach back and ahead at most.
SHARES: dict[str, dict[float, tuple[float, float]]] = {
    "direction": {0.0: (0.20, 0.35), 1.0: (0.30, 0.60), 2.0: (0.20, 0.35)},
    "trigger": {0.0: (0.93, 0.95), 1.0: (0.05, 0.07)},
    "expansion": {0.0: (0.30, 0.60), 1.0: (0.40, 0.70)},
    "relevance": {0.0: (0.30, 0.50), 1.0: (0.05, 0.25), 2.0: (0.30, 0.60)},
}
every_target = pytest.mark.parametrize("target", TARGETS)


def test_the_preset_asks_all_four_questions() -> None:
    assert {knobs["kind"] for knobs in TARGETS.values()} >= set(SHARES)


@cache
def bars() -> pd.DataFrame:
    table = pd.read_parquet(recorded("BTCUSDT-PERP_15m.parquet"))
    return table.sort_values("timestamp", ignore_index=True)


@cache
def labelled(target: str) -> pd.DataFrame:
    return labels_stage(bars(), None, **TARGETS[target])


def ahead(table: pd.DataFrame) -> np.ndarray:
    """Bars that each label read after its decision bar."""
    return ((table["span_end"] - table["timestamp"]) // BAR).to_numpy()


needs_market = pytest.mark.skipif(
    not (MARKET / "BTCUSDT-PERP_15m.parquet").is_file(),
    reason=f"no recorded 15-minute bars at {MARKET}: set BETTI_SHARED_DATA to where they lie",
)


@needs_market
@every_target
def test_classes_have_the_shares_that_are_expected_of_them(target: str) -> None:
    table, kind = labelled(target), TARGETS[target]["kind"]
    found = table[labelling.FOLDER.load(kind).COLUMNS[0]].value_counts(normalize=True)
    assert set(found.index) == set(SHARES[kind])
    for value, (least, most) in SHARES[kind].items():
        assert least <= found[value] <= most, (target, value, found[value])
    if kind == "expansion":
        types = table["type"].value_counts(normalize=True)
        assert set(types.index) == {0.0, 1.0, 2.0} and types.min() > 0.1
        assert {0.0, 1.0} == set(table["ahead"]) == set(table["begun"]) == set(table["censored"])


@needs_market
@every_target
def test_spans_reach_as_far_as_the_question_does(target: str) -> None:
    table, knobs = labelled(target), TARGETS[target]
    reached = ahead(table)
    assert set(table["span_end"]) <= set(bars()["timestamp"])
    if knobs["kind"] == "expansion":
        assert ((table["timestamp"] - table["span_start"]) // BAR == 104).all()
        assert len(set(reached)) == 1, "the rule reads as many bars after every window"
        # Windows end on every fifth bar of the clock, however long the history before them.
        assert (table["timestamp"].astype("int64") // 1_000_000 // 900 % knobs["stride"] == 0).all()
        return
    assert (table["span_start"] == table["timestamp"]).all()
    if knobs["kind"] == "relevance":
        assert set(reached) == {30 * knobs["bars_per_day"]}
    else:
        assert reached.min() >= 1 and reached.max() == knobs["horizon"]
        assert (len(set(reached)) == 1) == (knobs["kind"] == "trigger")


@needs_market
@every_target
def test_weights_are_what_is_unique_of_a_label(target: str) -> None:
    """Away from the ends, where all spans are alike, the weight is one over how many labels share a bar."""
    table, knobs = labelled(target), TARGETS[target]
    weight = table["weight"].to_numpy()
    assert ((weight > 0) & (weight <= 1)).all()
    middle = weight[len(weight) // 4 : -len(weight) // 4]
    length = ahead(table).max() + (105 if knobs["kind"] == "expansion" else 0)
    if knobs["kind"] == "direction":
        assert 0.99 / length < middle.min() < middle.mean() < 1 - 1 / length
    else:
        np.testing.assert_allclose(middle, knobs.get("stride", 1) / length, rtol=0.05)


@needs_market
@every_target
def test_folds_of_the_preset_are_clean(target: str) -> None:
    table = labelled(target)
    folds = split_stage(table, **PRESET["split"])
    roles = FoldRoles.of(table, folds)
    assert roles.numbers == tuple(range(PRESET["split"]["folds"]))
    wait = pd.Timedelta(PRESET["split"]["embargo"])
    for fold in roles.numbers:
        assert (roles.codes[fold] >= 0).all(), "every labelled row has a role in every fold"
        role = np.array(ROLES)[roles.codes[fold]]
        spanned = table[["timestamp", "symbol", "span_start", "span_end"]].assign(role=role)
        refuse_leaks(fold, spanned)
        learnt, test = spanned[spanned["role"].isin(["train", "valid"])], spanned[spanned["role"] == "test"]
        times = [micros(one) for one in (learnt["span_start"] - wait, learnt["span_end"] + wait)]
        assert not overlapping(*times, micros(test["span_start"]), micros(test["span_end"])).any()


def micros(times: pd.Series) -> np.ndarray:
    return times.dt.as_unit("us").astype("int64").to_numpy()


@needs_market
def test_a_model_of_all_questions_is_split_by_the_union_of_their_spans() -> None:
    from betti.splits.purge import union_of_spans

    tables = [labelled(target) for target in TARGETS]
    joint = union_of_spans(*tables)
    folds = splits.split("three_way", joint, embargo="1D")
    roles = FoldRoles.of(joint, folds)
    keyed = joint[["timestamp", "symbol"]].assign(role=np.array(ROLES)[roles.codes[0]])
    test, learnt = (keyed[keyed["role"].isin(which)] for which in (["test"], ["train", "valid"]))
    for one in tables:
        mine = learnt.merge(one, on=["timestamp", "symbol"])
        for other in tables:
            asked = test.merge(other, on=["timestamp", "symbol"])
            spans = [micros(side[name]) for side in (mine, asked) for name in ("span_start", "span_end")]
            assert len(mine) and len(asked) and not overlapping(*spans).any()
