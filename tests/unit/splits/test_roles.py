"""Every scheme's roles against their definitions, row by row and pair by pair; times, not rows, are what counts."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import io, splits
from betti.schemas import FOLDS
from tests.unit.splits.checks import check_split, literal_roles, roles_by_row, spans

Plan = list[tuple[pd.DatetimeIndex, pd.DatetimeIndex, pd.DatetimeIndex]]

some_labels = st.builds(
    spans,
    seed=st.integers(0, 10_000),
    rows=st.integers(40, 70),
    symbols=st.integers(1, 3),
    longest=st.integers(1, 25),
    before=st.integers(0, 8),
)
few = settings(max_examples=25, deadline=None)


def times(labels: pd.DataFrame) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(sorted(labels["timestamp"].unique()))


def cut(instants: pd.DatetimeIndex, blocks: int) -> list[pd.DatetimeIndex]:
    edges = [round(len(instants) * block / blocks) for block in range(blocks + 1)]
    return [instants[a:b] for a, b in pairwise(edges)]


def last_part(instants: pd.DatetimeIndex, share: float) -> pd.DatetimeIndex:
    return instants[int(len(instants) * (1 - share)) :]


def check(labels: pd.DataFrame, folds: pd.DataFrame, plan: Plan, embargo: str) -> None:
    assert sorted(folds["fold"].unique()) == list(range(len(plan)))
    for fold, (tested, learnt, validating) in enumerate(plan):
        assert roles_by_row(labels, folds, fold) == literal_roles(labels, tested, learnt, validating, embargo), fold
    check_split(labels, folds, embargo)


@few
@given(
    labels=some_labels,
    count=st.integers(1, 5),
    share=st.floats(0.05, 0.6),
    embargo=st.integers(0, 12).map("{}D".format),
    history=st.sampled_from(["expanding", "rolling"]),
)
def test_walk_forward(labels, count, share, embargo, history):
    folds = splits.split("walk_forward", labels, folds=count, valid_share=share, embargo=embargo, history=history)
    blocks = cut(times(labels), count + 1)
    plan = []
    for fold in range(count):
        first = 0 if history == "expanding" else fold
        past = pd.DatetimeIndex(np.concatenate([block.to_numpy() for block in blocks[first : fold + 1]]), tz="UTC")
        plan.append((blocks[fold + 1], past, last_part(past, share)))
    check(labels, folds, plan, embargo)


@few
@given(
    labels=some_labels,
    counts=st.sampled_from([(2, 1), (4, 2), (5, 4), (6, 1)]),
    share=st.sampled_from([0.0, 0.1, 0.3, 0.6]),
    embargo=st.integers(0, 12).map("{}D".format),
)
def test_combinatorial(labels, counts, share, embargo):
    groups, tested = counts
    folds = splits.split("combinatorial", labels, groups=groups, test_groups=tested, valid_share=share, embargo=embargo)
    blocks = cut(times(labels), groups)
    plan = []
    for chosen in combinations(range(groups), tested):
        test = times(labels)[np.isin(times(labels), np.concatenate([blocks[group] for group in chosen]))]
        rest = times(labels).difference(test)
        plan.append((test, rest, last_part(rest, share)))
    check(labels, folds, plan, embargo)


@few
@given(
    labels=some_labels,
    shares=st.sampled_from([(0.15, 0.15), (0.3, 0.1), (0.05, 0.6)]),
    embargo=st.integers(0, 12).map("{}D".format),
)
def test_three_way(labels, shares, embargo):
    valid, test = shares
    folds = splits.split("three_way", labels, valid_share=valid, test_share=test, embargo=embargo)
    instants = times(labels)
    valid_from, test_from = int(len(instants) * (1 - test - valid)), int(len(instants) * (1 - test))
    plan = [(instants[test_from:], instants[:test_from], instants[valid_from:test_from])]
    check(labels, folds, plan, embargo)
    order = folds.groupby("role", observed=True)["timestamp"].agg(["min", "max"])
    assert order.loc["test", "min"] > folds.loc[folds["role"] != "test", "timestamp"].max()
    if {"train", "valid"} <= set(order.index):
        assert order.loc["train", "max"] < order.loc["valid", "min"]


def test_embargo_is_elapsed_time_where_clocks_change():
    """Trade in New York around 7 November 2021: from Friday 9:30 to Monday 9:30 the clocks say 72 hours, 73 pass."""
    days = pd.bdate_range("2021-10-18", periods=20)
    local = pd.DatetimeIndex([day + pd.Timedelta(minutes=570 + 30 * bar) for day in days for bar in range(13)])
    stamps = local.tz_localize("America/New_York").tz_convert("UTC").as_unit("us")
    span_end = stamps + pd.Timedelta(minutes=30)
    labels = pd.DataFrame({"timestamp": stamps, "symbol": "A", "span_start": stamps, "span_end": span_end})
    folds = splits.split("three_way", labels, valid_share=0.25, test_share=0.25, embargo="3D").assign(local=local)
    monday = folds[folds["role"] == "test"]["local"].min()
    assert monday == pd.Timestamp("2021-11-08 09:30")
    friday = folds[(folds["local"] >= "2021-11-05") & (folds["local"] < monday)]
    # 72 hours before Monday's open it is 10:30 on Friday: a span that ends at 10:00 is over by then.
    assert friday["role"].tolist() == ["valid"] + ["embargoed"] * 12


def test_spans_that_cross_a_gap_are_purged_by_time():
    """Two weeks without bars: the label before them reads the first bar after them, three rows' spans away."""
    days = [*range(40), *range(54, 94)]
    stamps = pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(days, unit="D")
    span_end = stamps[[min(row + 2, len(days) - 1) for row in range(len(days))]]
    labels = pd.DataFrame({"timestamp": stamps, "symbol": "A", "span_start": stamps, "span_end": span_end})
    for embargo, expected in (("0D", ["valid", "purged", "purged"]), ("15D", ["embargoed", "purged", "purged"])):
        folds = splits.split("three_way", labels, valid_share=0.25, test_share=0.5, embargo=embargo)
        assert folds["role"].tolist()[37:41] == [*expected, "test"]


@pytest.mark.parametrize("scheme", splits.FOLDER.names())
def test_a_row_takes_twelve_bytes_and_is_written_as_the_schema_says(scheme, tmp_path):
    folds = splits.split(scheme, spans(2, rows=60, symbols=3))
    codes = (folds["symbol"].cat.codes, folds["role"].cat.codes)
    assert sum(column.dtype.itemsize for column in (folds["timestamp"], folds["fold"], *codes)) == 12
    io.table_bytes_to(tmp_path / "table.parquet", folds, FOLDS)
    read = io.read_part(tmp_path / "table.parquet", FOLDS)
    for name in FOLDS.names:
        assert read[name].tolist() == folds[name].tolist()
    assert read["fold"].dtype == "int16"
    assert {read[name].dtype.name for name in ("symbol", "role")} == {"category"}
