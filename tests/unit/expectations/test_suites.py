"""Every suite passes what is good, and each fault breaks the rule that is there for it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import BadParam, UnknownName
from betti.expectations._engine import SUITES, check
from betti.expectations.folds import prepared
from betti.training.leaks import overlapping
from tests.conftest import random_bars
from tests.unit.charts import samples

BARS = pd.concat([random_bars(120, 1, "AAA"), random_bars(120, 2, "BBB")], ignore_index=True)
LOOKBACK, ROW = 20, 30


def features() -> pd.DataFrame:
    table = BARS[["timestamp", "symbol"]].copy()
    values = np.random.default_rng(0).normal(size=(len(BARS), 4)).astype("float32")
    values[BARS.groupby("symbol").cumcount() < LOOKBACK] = np.nan
    for number in range(4):
        table[f"family__feature_{number}"] = values[:, number]
    return table


def labels() -> pd.DataFrame:
    table = samples.labels(BARS, 3)
    return table[table["span_end"] <= table["timestamp"].max()].reset_index(drop=True)


def folds() -> pd.DataFrame:
    """Two folds with a purge that is wide enough."""
    known = labels()
    tables = []
    for fold, start in enumerate(("2001-02-20", "2001-03-20")):
        begin = pd.Timestamp(start, tz="UTC")
        role = np.where(known["timestamp"] < begin, "train", "unused").astype(object)
        role[(known["timestamp"] >= begin) & (known["timestamp"] < begin + pd.Timedelta("14D"))] = "test"
        role[(known["timestamp"] < begin) & (known["span_end"] >= begin)] = "purged"
        tables.append(known[["timestamp", "symbol"]].assign(fold=fold, role=role))
    return pd.concat(tables, ignore_index=True)


def predictions() -> pd.DataFrame:
    return samples.predictions(labels(), folds(), 3)


CONTEXT = {
    "features": {"bars": BARS, "lookback": LOOKBACK},
    "labels": {"bars": BARS, "target": "direction", "classes": 3},
    "folds": {"labels": labels()},
    "predictions": {"folds": folds(), "classes": 3},
    "bars": {"until": pd.Timestamp("2018-01-01", tz="UTC")},
}
GOOD = {"features": features, "labels": labels, "folds": folds, "predictions": predictions, "bars": lambda: BARS.copy()}


def changed(column: str, value: object, row: int = ROW):
    def damage(table: pd.DataFrame) -> pd.DataFrame:
        table[column] = table[column].astype(object) if isinstance(value, str) else table[column]
        table.loc[row, column] = value
        return table

    return damage


def twice(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table, table.iloc[[ROW]]], ignore_index=True)


def moved(table: pd.DataFrame) -> pd.DataFrame:
    table.loc[ROW, "timestamp"] += pd.Timedelta("1h")
    return table


def ended(days: int):
    def damage(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[ROW, "span_end"] = table.loc[ROW, "timestamp"] + pd.Timedelta(days=days)
        return table

    return damage


def wide(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype({"family__feature_1": "float64"})


def constant(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**{f"family__feature_{number}": np.float32(1) for number in range(3)})


def learnt(table: pd.DataFrame) -> pd.DataFrame:
    table.loc[table["role"] == "purged", "role"] = "train"
    return table


FAULTS = {
    ("features", "an infinity"): (changed("family__feature_1", np.inf), "infinite", 1),
    ("features", "a hole after the warm-up"): (changed("family__feature_1", np.nan), "missing", 1),
    ("features", "a time twice"): (twice, "timestamp, symbol", 2),
    ("features", "a time that no bar has"): (moved, "is_bar", 1),
    ("features", "a column of doubles"): (wide, "not_float32", 240),
    ("features", "columns that say nothing"): (constant, "constant_share", 240),
    ("labels", "a span backwards"): (ended(-1), "span_seconds", 1),
    ("labels", "a class out of range"): (changed("direction", 3.0), "direction", 1),
    ("labels", "half a class"): (changed("direction", 0.5), "direction", 1),
    ("labels", "no class"): (changed("direction", np.nan), "direction", 1),
    ("labels", "no weight"): (changed("weight", 0.0), "weight", 1),
    ("labels", "too much weight"): (changed("weight", 1.01), "weight", 1),
    ("labels", "a time twice"): (twice, "timestamp, symbol", 2),
    ("labels", "a time that no bar has"): (moved, "is_bar", 1),
    ("folds", "a row without a role"): (lambda table: table.drop(index=ROW), "role", 1),
    ("folds", "an unknown role"): (changed("role", "tset"), "role", 1),
    ("folds", "a row in two roles"): (twice, "fold, timestamp, symbol", 2),
    ("folds", "a row without a label"): (moved, "labelled", 1),
    ("folds", "a look at the test"): (learnt, "apart", 20),
    ("predictions", "too much probability"): (changed("p_1", 1.5), "highest", 1),
    ("predictions", "a negative probability"): (changed("p_1", -0.1), "lowest", 1),
    ("predictions", "a sum beside one"): (lambda table: table.assign(p_1=table["p_1"] * 0.999), "off", None),
    ("predictions", "no probability"): (changed("p_1", np.nan), "off", 1),
    ("predictions", "an unknown class"): (changed("prediction", 3.0), "prediction", 1),
    ("predictions", "a row that is no test row"): (changed("fold", 7), "tested", 1),
    ("predictions", "a row twice"): (twice, "fold, timestamp, symbol", 2),
    ("bars", "a price below zero"): (changed("low", -1.0), "low", 1),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_good_passes(name):
    table = GOOD[name]()
    before = table.copy()
    found = check(name, table, **CONTEXT[name]).expectations
    assert [one for one in found if not one.success] == []
    assert len(found) >= 5
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(("name", "fault"), FAULTS, ids=lambda part: part.replace(" ", "_"))
def test_a_fault_breaks_its_rule(name, fault):
    damage, column, rows = FAULTS[name, fault]
    found = [one for one in check(name, damage(GOOD[name]()), **CONTEXT[name]).expectations if not one.success]
    (broken,) = [one for one in found if one.column == column][:1] or [None]
    assert broken is not None, found
    if rows is not None:
        assert broken.unexpected == rows
    assert broken.first.split(" ")[0] in {"AAA", "BBB"}
    assert name == "bars" or broken.rule


def test_every_suite_has_a_fault_here():
    assert {name for name, _ in FAULTS} == set(GOOD) == set(SUITES.names())


def test_a_column_that_a_symbol_has_not_is_not_missing():
    table = features()
    table.loc[table["symbol"] == "BBB", "family__feature_2"] = np.nan
    assert all(one.success for one in check("features", table, **CONTEXT["features"]).expectations)


def test_a_suite_says_what_it_needs_and_what_it_does_not_know():
    with pytest.raises(BadParam, match=r"suite 'labels': (bars|target|classes)"):
        check("labels", labels())
    with pytest.raises(UnknownName, match=r"lookbak.*did you mean 'lookback'"):
        check("features", features(), bars=BARS, lookbak=3)
    with pytest.raises(UnknownName, match="suite 'label'"):
        check("label", labels())


@pytest.mark.parametrize("name", GOOD)
def test_an_empty_table_passes(name):
    assert all(one.success for one in check(name, GOOD[name]().iloc[:0], **CONTEXT[name]).expectations)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6), st.sampled_from(["train", "test", "unused"])), min_size=1)
)
def test_overlap_is_found_as_the_trainer_finds_it(drawn):
    day = pd.Timedelta("1D")
    origin = pd.Timestamp("2020-01-01", tz="UTC")
    rows = pd.DataFrame(drawn, columns=["start", "length", "role"])
    # One symbol per row: their keys must differ.
    key = {"timestamp": origin + rows["start"] * day, "symbol": [f"S{row}" for row in rows.index]}
    spans = {"span_start": origin + rows["start"] * day, "span_end": origin + (rows["start"] + rows["length"]) * day}
    found = prepared(
        pd.DataFrame(key).assign(fold=0, role=rows["role"]), labels=pd.DataFrame(key).assign(**spans)
    ).set_index("symbol")
    learnt, test = (rows[rows["role"] == role] for role in ("train", "test"))
    starts, ends = (rows["start"].to_numpy("int64"), (rows["start"] + rows["length"]).to_numpy("int64"))
    wrong = overlapping(starts[learnt.index], ends[learnt.index], starts[test.index], ends[test.index])
    expected = {f"S{row}" for row, bad in zip(learnt.index, wrong, strict=True) if bad}
    assert set(found.index[~found["apart"]]) == expected
