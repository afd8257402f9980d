"""A feature set takes its columns from the families that can have them, in the order of its patterns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti.errors import UnknownName
from betti.io import Items
from betti.stages.select import EmptySet, select
from tests.conftest import random_bars

COLUMNS = {"technical": ["rsi_14", "rsi_7", "atr_14"], "topology": ["betti1_001", "entropy_0"], "other": ["rsi_14"]}


def table(family: str) -> pd.DataFrame:
    keys = pd.concat([random_bars(6), random_bars(4, 2, "BBB")], ignore_index=True)[["timestamp", "symbol"]]
    rng = np.random.default_rng(len(family))
    for name in COLUMNS[family]:
        keys[f"{family}__{name}"] = rng.normal(size=len(keys)).astype("float32")
    return keys


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def features(asked) -> Items[pd.DataFrame]:
    return Items(tuple(COLUMNS), lambda name: asked.append(name) or table(name))


def chosen(features: Items[pd.DataFrame], *patterns: str) -> list[str]:
    return list(select(features, set="mine", columns=list(patterns)).columns[2:])


def test_columns_come_in_the_order_of_the_patterns_and_once(features):
    assert chosen(features, "topology__entropy_*", "technical__rsi_*", "technical__*") == [
        "topology__entropy_0",
        "technical__rsi_14",
        "technical__rsi_7",
        "technical__atr_14",
    ]


def test_a_pattern_may_cross_families(features):
    assert chosen(features, "*__rsi_14") == ["technical__rsi_14", "other__rsi_14"]
    assert chosen(features, "*rsi_14") == ["technical__rsi_14", "other__rsi_14"]
    assert chosen(features, "t*__*_1[0-4]") == ["technical__rsi_14", "technical__atr_14"]


def test_a_family_that_no_pattern_needs_is_not_read(features, asked):
    chosen(features, "technical__rsi_14")
    assert asked == ["technical"]


def test_rows_and_values_are_those_of_the_families(features):
    selected = select(features, set="mine", columns=["topology__*", "technical__rsi_7"])
    assert selected[["timestamp", "symbol"]].equals(table("topology")[["timestamp", "symbol"]])
    assert selected["technical__rsi_7"].equals(table("technical")["technical__rsi_7"])
    assert (selected.dtypes[2:] == "float32").all()


def test_families_are_aligned_by_symbol_and_time_not_by_position():
    shuffled = {name: table(name).sample(frac=1, random_state=i) for i, name in enumerate(COLUMNS)}
    plain = {name: table(name) for name in COLUMNS}
    patterns = ["technical__*", "topology__*"]
    pd.testing.assert_frame_equal(
        select(shuffled, set="mine", columns=patterns), select(plain, set="mine", columns=patterns)
    )


@pytest.mark.parametrize("pattern", ["technical__macd*", "wavelet__*", "technical"])
def test_a_pattern_that_matches_nothing_is_named(features, pattern):
    with pytest.raises(EmptySet, match="'mine'") as caught:
        chosen(features, "technical__*", pattern)
    assert f"'{pattern}'" in str(caught.value)
    assert "other, technical, topology" in str(caught.value)


def test_without_patterns_the_declared_set_of_that_name_applies(features):
    selected = select(features, set="topology_only", columns=[])
    assert list(selected.columns[2:]) == ["topology__betti1_001", "topology__entropy_0"]
    with pytest.raises(UnknownName, match="feature set 'mine'"):
        select(features, set="mine", columns=[])
