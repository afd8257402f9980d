"""A table that breaks its suite is told with its rule and its first row, and is not recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from betti import binding, expected, features, io
from betti.errors import UnknownName
from betti.expectations.drift import Drifted
from betti.schemas import BARS, FEATURES, FOLDS, LABELS
from tasks import suites
from tests.conftest import REPOSITORY, random_bars

UNTIL = "2018-12-31T00:00:00+00:00"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A repository with clean bars, the features of one family, the labels of one target and its folds."""
    root = tmp_path_factory.mktemp("expected")
    raw = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    (root / "params.yaml").write_text(yaml.safe_dump(raw))
    (root / "asof.yaml").write_text(f'until: "{UNTIL}"\naccepted: null\n')
    io.write_parts(root / "data/2_clean", random_bars(3000), BARS)
    for stage, item in (("features", "complexity"), ("labels", "trigger"), ("split", "trigger")):
        binding.run(root, stage, item)
    return root


STAGES = {"features": "complexity", "labels": "trigger", "split": "trigger"}


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_makes_passes_its_suite(made, stage):
    found = expected.check(made, stage, STAGES[stage])
    assert found is not None
    assert found.rows > 0
    assert all(one.success for one in found.expectations)
    expected.refuse(found)


@pytest.mark.parametrize("stage", ["ingest", "validate", "select", "train", "compare", "report"])
def test_other_stages_have_none(made, stage):
    assert expected.check(made, stage, None) is None


def test_a_missing_value_among_features_is_refused(made):
    folder = made / "data/3_features/complexity"
    table = io.read_table(folder, FEATURES)
    table.loc[700, "complexity__bollinger_width"] = float("nan")
    before = {file: file.read_bytes() for file in folder.rglob("*.parquet")}
    io.write_parts(folder, table, FEATURES)
    with pytest.raises(expected.SuiteBroken, match=r"features@complexity: .* warm-up rows alone .*1 rows, first AAA"):
        suites.held(made, "features@complexity")
    page = (made / suites.DOCS / "features-complexity.html").read_text()
    assert "missing" in page
    for file, content in before.items():
        file.write_bytes(content)


def test_a_label_outside_its_classes_is_refused(made):
    folder = made / "data/5_labels/trigger"
    table = io.read_table(folder, LABELS)
    io.write_parts(folder, table.assign(trigger=table["trigger"] + 5), LABELS)
    with pytest.raises(expected.SuiteBroken, match="classes lie in range"):
        suites.held(made, "labels@trigger")
    io.write_parts(folder, table, LABELS)


def test_a_fold_that_leaks_is_refused(made):
    folder = made / "data/6_folds/trigger"
    table = io.read_table(folder, FOLDS)
    io.write_table(folder, table.assign(role=table["role"].replace("purged", "train")), FOLDS)
    with pytest.raises(expected.SuiteBroken, match="touches a test span"):
        suites.held(made, "split@trigger")
    io.write_table(folder, table, FOLDS)


def test_the_page_of_all_docs_links_to_each(made):
    for stage, item in STAGES.items():
        suites.held(made, f"{stage}@{item}")
    page = suites.index(made).read_text()
    for name in ("features-complexity", "labels-trigger", "folds-trigger"):
        assert f'href="{name}.html"' in page
        assert (made / suites.DOCS / f"{name}.html").is_file()


def test_an_item_that_does_not_exist_is_named(made):
    with pytest.raises((UnknownName, KeyError)):
        expected.check(made, "features", "complexitty")


def accept(root: Path, time: str | None) -> None:
    (root / "asof.yaml").write_text(yaml.safe_dump({"until": UNTIL, "accepted": time}))


def limit(root: Path, **knobs: float | None) -> None:
    """The limits of `validate.drift`; none given are those that ship."""
    raw = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    raw["validate"]["drift"] |= knobs
    (root / "params.yaml").write_text(yaml.safe_dump(raw))


@pytest.fixture
def drifted(made) -> Iterator[Path]:
    """One column of the features is another since the accepted bar."""
    folder = made / "data/3_features/complexity"
    table = io.read_table(folder, FEATURES)
    accept(made, str(table["timestamp"].iloc[1500]))
    later = table["timestamp"] > table["timestamp"].iloc[1500]
    moved = table["complexity__bollinger_width"].where(~later, table["complexity__bollinger_width"] + 1)
    io.write_parts(folder, table.assign(complexity__bollinger_width=moved), FEATURES)
    yield made
    accept(made, None)
    limit(made)
    io.write_parts(folder, table, FEATURES)


def test_features_that_did_not_move_are_told_seldom(made):
    table = io.read_table(made / "data/3_features/complexity", FEATURES)
    accept(made, str(table["timestamp"].iloc[1500]))
    found = expected.check(made, "features", "complexity")
    accept(made, None)
    assert found.drifted is not None
    assert len(found.moved) <= 1


def test_features_that_drifted_since_the_accepted_run_are_told(drifted):
    assert "complexity__bollinger_width" in suites.held(drifted, "features@complexity").moved


@pytest.mark.parametrize("knobs", [{"psi_stop": 2.0}, {"ks_stop": 0.9}])
def test_drift_of_features_stops_by_the_knobs_and_its_page_is_written(drifted, knobs):
    limit(drifted, **knobs)
    with pytest.raises(Drifted, match=r"features@complexity: .*complexity__bollinger_width.*validate\.drift"):
        suites.held(drifted, "features@complexity")
    assert (drifted / suites.DOCS / "features-complexity.html").is_file()


def test_limits_that_are_not_reached_tell_nothing(drifted):
    limit(drifted, psi_warn=1e6, ks_warn=None)
    assert expected.check(drifted, "features", "complexity").moved == []


def test_a_night_after_the_drift_was_accepted_it_is_not_told_again(drifted):
    table = io.read_table(drifted / "data/3_features/complexity", FEATURES)
    accept(drifted, str(table["timestamp"].iloc[-2]))
    assert expected.check(drifted, "features", "complexity").moved == []


def test_no_new_rows_or_no_accepted_run_say_nothing(made):
    table = io.read_table(made / "data/3_features/complexity", FEATURES)
    accept(made, str(table["timestamp"].iloc[-1]))
    assert expected.check(made, "features", "complexity").drifted is None
    accept(made, None)
    assert expected.check(made, "features", "complexity").drifted is None


@pytest.mark.parametrize("family", [name for name in features.families() if name != "topology"])
@pytest.mark.parametrize("market", ["no volume", "zero volume", "flat", "ten bars"])
def test_a_legal_market_passes_the_suite_of_every_family(tmp_path, family, market):
    bars = random_bars(10 if market == "ten bars" else 400)
    if market == "flat":
        bars[["open", "high", "low", "close"]] = 100.0
    if market.endswith("volume"):
        bars["volume"] = 0.0 if market == "zero volume" else np.nan
    raw = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**raw, "features": {family: {}}}))
    (tmp_path / "asof.yaml").write_text(yaml.safe_dump({"until": UNTIL, "accepted": None}))
    io.write_parts(tmp_path / "data/2_clean", bars, BARS)
    binding.run(tmp_path, "features", family)
    expected.refuse(expected.check(tmp_path, "features", family))


def test_an_empty_table_is_not_judged(made):
    folder = made / "data/5_labels/trigger"
    table = io.read_table(folder, LABELS)
    io.write_parts(folder, table.iloc[:0], LABELS)
    assert expected.check(made, "labels", "trigger") is None
    io.write_parts(folder, table, LABELS)
