"""The report as one page: self-contained, the same for the same inputs, and right about the verdict."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pandas as pd
import pytest

from betti import labelling
from betti.expectations.result import Validation
from betti.stages.report import report
from tests.unit.charts import samples

HOSTILE = "<script>alert('x')</script>"


class Counting(Mapping):
    """A lazy mapping that counts how often each value is read."""

    def __init__(self, values: dict) -> None:
        self.values_, self.reads = values, dict.fromkeys(values, 0)

    def __getitem__(self, name):
        self.reads[name] += 1
        return self.values_[name]

    def __iter__(self):
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def inputs(rows: int = 300, symbols=("AAA", "BBB"), runs=("one", "two"), winner: str | None = None, **metrics) -> dict:
    clean = samples.bars(rows, symbols)
    labels = samples.labels(clean, 3)
    folds = samples.folds(labels, 2)
    scored = {run: samples.metrics(run, edge=0.1 if run == winner else 0.0, **metrics) for run in runs}
    return {
        "clean": clean,
        "validation": Validation(samples.validation(clean)),
        "features": Counting({"technical": samples.features(clean, "technical", 8)}),
        "labels": Counting({"direction_5": labels}),
        "folds": Counting({"direction_5": folds}),
        "learning": Counting(dict.fromkeys(runs, samples.learning(2))),
        "importance": Counting(dict.fromkeys(runs, samples.importance())),
        "predictions": Counting({run: samples.predictions(labels, folds, 3, run) for run in runs}),
        "metrics": Counting(scored),
        "equity": Counting(dict.fromkeys(runs, samples.equity(clean["timestamp"].drop_duplicates()))),
        "leaderboard": samples.leaderboard(scored),
        "champion": samples.champion(scored, winner),
    }


def build(values: dict, title: str = "T") -> str:
    return report(**values, title=title, max_points=200)


@pytest.fixture(scope="module")
def page() -> str:
    return build(inputs())


def own_markup(page: str) -> str:
    """The page without the text of its scripts (plotly's own code speaks of addresses that it never loads)."""
    return re.sub(r"<script\b[^>]*>.*?</script>", "", page, flags=re.S)


def test_nothing_is_loaded_from_anywhere(page: str):
    assert not re.search(r"<script[^>]+src=", page)
    assert not re.search(r"<link\b|<img[^>]+src=[\"']?http|@import|url\(\s*[\"']?http|<iframe", own_markup(page))


def test_plotly_is_inlined_once_and_the_page_stays_small(page: str):
    scripts = re.findall(r"<script\b[^>]*>(.*?)</script>", page, flags=re.S)
    assert sum(len(script) > 1_000_000 for script in scripts) == 1
    assert len(page) < 8_000_000


def test_equal_inputs_give_equal_bytes(page: str):
    assert build(inputs()) == page


def test_the_marker_for_the_run_stands_once(page: str):
    assert page.count("<!-- betti:run -->") == 1
    assert re.search(r'<section[^>]*id="run"', page)


def test_the_contents_lead_to_sections_that_are_there(page: str):
    links = set(re.findall(r'href="#([^"]+)"', page))
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    assert len(links) > 8
    assert links <= ids


def with_topology(values: dict) -> dict:
    """The same with the topology family and a trigger target among the items."""
    clean = values["clean"]
    family, trigger = samples.topology(clean), samples.labels(clean, 2, column="trigger")
    return values | {
        "features": Counting({**values["features"].values_, "topology": family}),
        "labels": Counting({**values["labels"].values_, "trigger": trigger}),
        "folds": Counting({**values["folds"].values_, "trigger": samples.folds(trigger, 2)}),
    }


def topology_of(page: str) -> str:
    found = re.search(r'<section id="topology">.*?</section>', page, flags=re.S)
    assert found is not None
    return found.group()


def test_topology_is_shown_through_time_for_every_symbol_with_the_trigger_marked():
    said = topology_of(build(with_topology(inputs())))
    assert {'id="fig-topology-AAA"', 'id="fig-topology-BBB"'} <= set(re.findall(r'id="fig-topology-[A-Z]+"', said))
    assert "target trigger fires" in said and "the trigger fires" in said


def test_without_the_family_one_sentence_stands_in_its_place(page: str):
    said = topology_of(page)
    assert "is not declared" in said and "fig-topology" not in said


def test_a_page_with_topology_has_equal_bytes_and_reads_each_item_once():
    values = with_topology(inputs())
    first = build(values)
    assert first == build(with_topology(inputs()))
    for name in ("features", "labels", "folds"):
        assert set(values[name].reads.values()) == {1}, name


def test_topology_that_is_unknown_throughout_is_said_to_be():
    values = with_topology(inputs(rows=15))
    assert topology_of(build(values)).count("history is shorter than a window") == 2


def labels_of(page: str) -> str:
    found = re.search(r'<section id="labels">.*?</section>', page, flags=re.S)
    assert found is not None
    return found.group()


def labelled(values: dict) -> dict:
    """The same with labels as the registered targets make them."""
    kinds = {"barriers": "direction", "trigger": "trigger", "expansion": "expansion", "momentum": "meta"}
    tables = {name: labelling.label(kind, values["clean"]) for name, kind in kinds.items()}
    return values | {
        "labels": Counting({**values["labels"].values_, **tables}),
        "folds": Counting({**values["folds"].values_, **{name: samples.folds(one, 2) for name, one in tables.items()}}),
    }


@pytest.fixture(scope="module")
def drawn_labels() -> tuple[str, Mapping[str, int]]:
    """The page with those labels, and how often each target was read."""
    values = labelled(inputs(rows=900))
    return build(values), values["labels"].reads


def test_labels_are_drawn_among_their_bars_and_an_unknown_kind_has_its_balance_alone(drawn_labels):
    page, reads = drawn_labels
    drawn = set(re.findall(r'id="(fig-[\w-]+)" class="plot"', labels_of(page)))
    pictures = {f"fig-{what}-{symbol}" for what in ("barriers-barriers", "trigger-trigger", "expansion-expansion")
                for symbol in ("AAA", "BBB")}  # fmt: skip
    assert pictures <= drawn
    assert {name for name in drawn if "momentum" in name} == {"fig-labels-momentum"}
    assert page == build(labelled(inputs(rows=900)))
    assert set(reads.values()) == {1}


def test_pictures_of_labels_stay_small(drawn_labels):
    body = labels_of(drawn_labels[0])
    assert len(body) < 60_000 * 5


def test_every_picture_of_labels_has_a_caption_and_titles_on_its_axes(drawn_labels):
    body = labels_of(drawn_labels[0])
    for ident, data in re.findall(r'<script type="application/json" id="(fig-[\w-]+)-data">(.*?)</script>', body):
        layout = json.loads(data)["layout"]
        axes = {name: axis for name, axis in layout.items() if re.fullmatch(r"[xy]axis\d*", name)}
        said = [bool(axis.get("title", {}).get("text")) for name, axis in sorted(axes.items())]
        # Of panels one below the other the last alone names the time that they share.
        shared = sum(name.startswith("x") for name in axes) - 1
        assert said.count(False) == shared, ident
        caption = re.search(rf'<figcaption>([^<]+)</figcaption><div id="{ident}"', body)
        assert caption is not None and len(caption.group(1)) > 10


def test_the_verdict_comes_in_words():
    assert "No champion" in build(inputs())
    won = own_markup(build(inputs(winner="two")))
    assert "No champion" not in won
    assert "two beats every baseline" in won


def test_names_are_escaped():
    page = build(inputs(symbols=("AAA", HOSTILE), runs=("one", HOSTILE)), title=HOSTILE)
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page


def test_each_item_is_read_once():
    values = inputs()
    build(values)
    for name in ("features", "labels", "folds", "predictions", "equity", "learning", "importance"):
        assert set(values[name].reads.values()) == {1}, name


@pytest.mark.parametrize(
    "values",
    [
        inputs(rows=10, symbols=("AAA",), runs=("one",)),
        inputs(auc=None),
        inputs(classes=3)
        | {
            "learning": Counting(dict.fromkeys(("one", "two"), samples.no_learning())),
            "importance": Counting(dict.fromkeys(("one", "two"), samples.importance(0))),
        },
    ],
    ids=["one symbol with ten bars", "no AUC", "nothing learned"],
)
def test_thin_inputs_still_make_a_page(values: dict):
    assert "</html>" in build(values)


def test_inputs_are_not_changed():
    values = inputs()
    before = values["clean"].copy()
    build(values)
    pd.testing.assert_frame_equal(values["clean"], before)
