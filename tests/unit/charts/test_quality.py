"""What the page says of the data's quality: in the open what matters, folded away what is well."""

from __future__ import annotations

import re

from betti import records
from betti.charts.sections import GAPS_SHOWN, data_section
from tests.unit.charts import samples

CLEAN = samples.bars(400)
SUMMARY = samples.validation(CLEAN)


def page(**changes: object) -> str:
    return data_section(CLEAN, SUMMARY.model_copy(update=changes)).body


def folded(body: str) -> str:
    return "".join(re.findall(r"<details>.*?</details>", body, flags=re.S))


def in_the_open(body: str) -> str:
    return re.sub(r"<details>.*?</details>", "", body, flags=re.S)


def expectation(column: str, *, success: bool) -> records.ExpectationResult:
    return records.ExpectationResult(
        expectation="expect_something", column=column, success=success, unexpected=0 if success else 3,
        rule=f"{column} is right", first="" if success else "AAA 2001-02-03",
    )  # fmt: skip


def test_met_expectations_are_folded_away_and_broken_ones_are_not():
    body = page(expectations=[expectation("high", success=True), expectation("low", success=False)])
    assert "Of 2 expectations 1 are not met" in in_the_open(body)
    assert "low is right" in in_the_open(body) and "AAA 2001-02-03" in in_the_open(body)
    assert "high is right" in folded(body) and "high is right" not in in_the_open(body)


def test_without_a_broken_expectation_all_are_folded_away():
    body = page()
    assert "All 1 are met" in in_the_open(body)
    assert "expect_column_values" not in in_the_open(body)


def test_flags_are_counted_over_all_symbols_and_explained_with_examples():
    body = folded(page())
    assert re.search(r"jumps: 4\. A close-to-close move beyond", body)
    assert body.count("0.3") >= 2, "one example of each symbol"


def test_without_flags_nothing_is_said_of_them():
    calm = [one.model_copy(update={"flags": {}, "examples": [], "gaps": []}) for one in SUMMARY.symbols]
    body = page(symbols=calm)
    assert "Flagged</h4>" not in body
    assert "No symbol has a gap" in body


def test_gaps_are_counted_in_full_and_the_longest_are_listed():
    gap = SUMMARY.symbols[1].gaps[0]
    many = [gap.model_copy(update={"missing": number}) for number in range(20, 40)]
    closed = gap.model_copy(update={"kind": "sessions", "missing": 777})
    changed = SUMMARY.symbols[1].model_copy(
        update={"gaps": [*many, closed], "flags": {"gaps": 1234, "closed_sessions": 1}}
    )
    body = page(symbols=[changed])
    assert "1,234 gaps where other weeks have bars and 1 pause of whole sessions" in body
    listed = re.search(r"weeks that have them.*?</table>", in_the_open(body), flags=re.S)
    assert listed is not None
    assert listed.group().count("<tr><td>") == GAPS_SHOWN
    assert "<td>777</td>" in folded(body) and "<td>777</td>" not in in_the_open(body)


def test_names_from_data_are_escaped():
    hostile = "<b>x</b>"
    bad = SUMMARY.symbols[0].model_copy(
        update={
            "symbol": hostile,
            "flags": {hostile: 1},
            "examples": [records.FlaggedBar(timestamp=hostile, rule=hostile, value=None, usual=1.0)],
        }
    )
    assert hostile not in page(symbols=[bad])
