"""A table that breaks its suite is told with its rule and its first row, and is not recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from betti import binding, expected, io
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
    io.write_parts(root / "data/2_clean", random_bars(900), BARS)
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


def test_features_that_drifted_since_the_accepted_run_are_told(made):
    folder = made / "data/3_features/complexity"
    table = io.read_table(folder, FEATURES)
    try:
        accept(made, str(table["timestamp"].iloc[400]))
        assert expected.check(made, "features", "complexity").moved == []
        later = table["timestamp"] > table["timestamp"].iloc[400]
        moved = table["complexity__bollinger_width"].where(~later, table["complexity__bollinger_width"] + 1)
        io.write_parts(folder, table.assign(complexity__bollinger_width=moved), FEATURES)
        found = suites.held(made, "features@complexity")
        assert found.moved == ["complexity__bollinger_width"]
        (made / "params.yaml").write_text(
            (made / "params.yaml").read_text().replace("psi_stop: null", "psi_stop: 1.0", 1)
        )
        with pytest.raises(Drifted, match=r"features@complexity: 1 columns moved too far .*bollinger_width"):
            suites.held(made, "features@complexity")
    finally:
        accept(made, None)
        io.write_parts(folder, table, FEATURES)


def test_too_few_rows_since_then_say_nothing(made):
    table = io.read_table(made / "data/3_features/complexity", FEATURES)
    accept(made, str(table["timestamp"].iloc[-5]))
    assert expected.check(made, "features", "complexity").drifted is None
    accept(made, None)
    assert expected.check(made, "features", "complexity").drifted is None
