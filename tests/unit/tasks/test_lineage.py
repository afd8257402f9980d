"""Lineage: from an artifact back to its source, as text, as Mermaid, and in the report."""

from __future__ import annotations

import pandas as pd

from betti import io, schemas
from tasks import lineage
from tasks.journal import Journal, Note
from tasks.record import Entry, Outcome
from tests.conftest import random_bars

GRAPH = {"ingest": (), "labels@a": ("ingest",), "labels@b": ("ingest",), "report": ("labels@a", "labels@b")}
STATES = {"ingest": "cached", "labels@a": "ran", "labels@b": "restored"}
NOTES = {"labels@a": Note("ran", "2026-01-01T00:00:00+00:00", 1.25)}


def entry(path: str, kind: str, md5: str) -> Entry:
    return Entry(path, kind, md5, 10, 1)  # type: ignore[arg-type]


RECORDED = {
    "ingest": (entry("src/ingest.py", "dep", "c0de"), entry("data/1_bars", "out", "b0")),
    "labels@a": (entry("data/1_bars", "dep", "b0"), entry("data/5_labels/a", "out", "aa")),
    "labels@b": (entry("data/1_bars", "dep", "b0"), entry("data/5_labels/b", "out", "bb")),
    "report": (entry("data/5_labels", "dep", "dd"), entry("data/9_reports/report.html", "out", "ff")),
}


def test_trace_leads_from_the_report_to_the_source():
    found = lineage.trace(RECORDED, "data/9_reports/report.html")
    paths = [(depth, e.path) for depth, _, e in found]
    assert paths[0] == (0, "data/9_reports/report.html")
    assert (1, "data/5_labels/a") in paths
    assert (2, "data/1_bars") in paths
    assert (3, "src/ingest.py") in paths


def test_what_two_things_are_made_from_is_shown_under_both_and_followed_once():
    found = lineage.trace(RECORDED, "data/5_labels")
    assert [e.path for _, _, e in found].count("data/1_bars") == 2
    assert [e.path for _, _, e in found].count("src/ingest.py") == 1


def test_nothing_is_found_for_a_path_that_nobody_makes():
    assert lineage.trace(RECORDED, "data/nowhere") == []


def test_mermaid_has_a_node_and_a_colour_for_every_stage_and_an_edge_for_every_dependency():
    text = lineage.mermaid(GRAPH, STATES, NOTES)
    assert text.count("[") == len(GRAPH)
    assert "s0 --> s1" in text
    assert "s1 & s2 --> s3" in text
    assert "class s1 ran" in text
    assert lineage.COLOURS["restored"] in text
    assert "1.2 s" in text


def test_the_markdown_table_has_every_out_with_its_hash():
    text = lineage.markdown(GRAPH, STATES, NOTES, RECORDED)
    for path, md5 in (("data/1_bars", "b0"), ("data/5_labels/a", "aa"), ("data/9_reports/report.html", "ff")):
        assert f"{path} | `{md5}`" in text


def test_publishing_fills_the_marker_and_leaves_the_tracked_page_alone(tmp_path):
    page = tmp_path / "data" / "9_reports" / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text(f"<html>{lineage.MARKER}</html>")
    target = lineage.publish(tmp_path, GRAPH, STATES, NOTES, RECORDED)
    assert target == page.with_name("index.html")
    text = target.read_text()
    assert lineage.MARKER not in text
    assert text.count("<rect") == 4
    assert "<code>aa</code>" in text
    assert page.read_text() == f"<html>{lineage.MARKER}</html>"


def test_without_a_report_nothing_is_published(tmp_path):
    assert lineage.publish(tmp_path, GRAPH, STATES, NOTES, RECORDED) is None


def test_rows_are_counted_in_outs_and_the_quarantine_is_not(tmp_path):
    bars = pd.concat([random_bars(30, 1, "A"), random_bars(20, 2, "B")])
    bad = random_bars(5, 3, "A").assign(reason="future")
    path = tmp_path / "data" / "2_clean"
    io.write_parts(path, bars, schemas.BARS, {"_quarantine": (bad, schemas.QUARANTINE)})
    (row,) = lineage.rows(tmp_path, (entry("data/2_clean", "out", "x"),))
    assert row.rows == 50


def test_the_journal_remembers_seconds_of_the_last_real_run(tmp_path):
    journal = Journal(tmp_path)
    journal.add(Outcome("labels@a", "ran", 2.5, ()))
    journal.add(Outcome("labels@a", "cached", 0.0, ()))
    again = Journal(tmp_path).notes()["labels@a"]
    assert (again.state, again.seconds) == ("cached", 2.5)


def test_a_spoilt_journal_is_forgotten(tmp_path):
    (tmp_path / ".betti").mkdir()
    (tmp_path / ".betti" / "journal.json").write_text("{half")
    assert Journal(tmp_path).notes() == {}
