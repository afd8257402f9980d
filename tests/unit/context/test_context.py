"""The three tables: one order, equal rows once, contradictions refused; what was known when; hashes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from betti import context
from betti.context import BadContext, Context
from betti.errors import BadParam, UnknownName
from tests.unit.context.made import event, headlines, macro, policy, utc

NEWS = headlines(
    ("2024-01-02 10:00", "", "Shares rise"),
    ("2024-01-02 10:00", "AAA", "AAA wins a contract"),
    ("2024-01-03 09:00", "", "Shares fall"),
)
EVENTS = policy(
    event("2024-01-31 19:00", scheduled_since="2023-07-01", stance=0.5),
    event("2024-03-20 18:00", scheduled_since="2023-07-01", stance=-0.5),
    event("2024-02-10 18:00", stance=1.0, urgency=1.0),
)
VALUES = macro(
    ("2024-01-11 13:30", "CPI", "2023-12-01", 3.4, 3.2),
    ("2024-02-13 13:30", "CPI", "2024-01-01", 3.1, 2.9),
    ("2024-03-12 12:30", "CPI", "2023-12-01", 3.3),
)
WHOLE = Context(NEWS, EVENTS, VALUES)


def moment(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def tables(found: Context) -> list[pd.DataFrame | None]:
    return [found.headlines, found.policy, found.macro]


def test_neither_the_order_of_rows_nor_of_columns_matters() -> None:
    other = Context(*(table.iloc[::-1, ::-1] for table in (NEWS, EVENTS, VALUES)))
    for one, two in zip(tables(WHOLE), tables(other), strict=True):
        assert one is not None and two is not None
        pd.testing.assert_frame_equal(one, two)
    assert other.digest() == WHOLE.digest()


def test_rows_that_are_equal_are_kept_once() -> None:
    twice = Context(*(pd.concat([table, table]) for table in (NEWS, EVENTS, VALUES)))
    assert [len(t) for t in tables(twice) if t is not None] == [3, 3, 3]
    assert twice.digest() == WHOLE.digest()


def test_two_values_of_one_release_are_refused() -> None:
    other = VALUES.assign(value=VALUES["value"] + np.array([0, 1, 0]))
    with pytest.raises(BadContext, match=r"two values of value \(3.1 and 4.1\) for series CPI"):
        Context(macro=pd.concat([VALUES, other], ignore_index=True))


def test_two_outcomes_of_one_event_are_refused_and_a_later_correction_is_not() -> None:
    with pytest.raises(BadContext, match=r"two values of stance"):
        Context(policy=policy(event("2024-01-31", stance=0.5), event("2024-01-31", stance=0.1)))
    Context(policy=policy(event("2024-01-31", stance=0.5), event("2024-01-31", "2024-02-01", stance=0.1)))


@pytest.mark.parametrize(
    ("kind", "table", "found"),
    [
        ("headlines", NEWS.drop(columns="symbol"), "no column symbol"),
        ("headlines", NEWS.assign(released="2024-01-01"), "released is str"),
        ("headlines", NEWS.assign(released=utc("2024-01-01", None, "2024-01-01")), "released is NaT in row 1"),
        ("policy", EVENTS.assign(stance=[0.0, 0.0, 1.5]), "stance is 1.5 in row 2"),
        ("policy", EVENTS.assign(urgency=[-0.1, 0.0, 0.0]), "urgency is -0.1 in row 0"),
        ("macro", VALUES.assign(value=[1.0, np.nan, 1.0]), "value is nan in row 1"),
        ("macro", VALUES.assign(forecast=[1.0, np.inf, 1.0]), "forecast is inf in row 1"),
        ("macro", VALUES.assign(value="3.4"), "value is str"),
    ],
)
def test_a_table_that_is_not_what_it_should_be_is_refused(kind: str, table: pd.DataFrame, found: str) -> None:
    with pytest.raises(BadContext, match=found) as caught:
        Context(**{kind: table})
    assert kind in str(caught.value)


# --- what was known


def test_what_was_known_is_what_was_released_before() -> None:
    cut = WHOLE.until(moment("2024-01-03 09:00"))
    assert cut.headlines is not None and cut.macro is not None
    assert cut.headlines["headline"].tolist() == ["Shares rise", "AAA wins a contract"]
    assert cut.macro.empty


def test_of_an_event_ahead_the_date_is_known_and_the_outcome_is_not() -> None:
    cut = WHOLE.until(moment("2024-02-01")).policy
    assert cut is not None
    assert cut["at"].tolist() == [moment("2024-01-31 19:00"), moment("2024-03-20 18:00")]
    assert cut["stance"].tolist()[0] == 0.5 and np.isnan(cut["stance"].iloc[1])
    assert pd.isna(cut["released"].iloc[1])
    before = WHOLE.until(moment("2023-07-01")).policy
    assert before is not None and before.empty


def test_cutting_twice_is_cutting_once() -> None:
    late, early = moment("2024-02-20"), moment("2024-01-20")
    assert WHOLE.until(late).until(early).digest() == WHOLE.until(early).digest() == WHOLE.digest(early)


def test_a_table_cut_is_a_table_that_can_be_read_again() -> None:
    cut = WHOLE.until(moment("2024-02-01"))
    assert Context(*tables(cut)).digest() == cut.digest()


# --- hashes


def changed(**tables: Any) -> Context:
    return Context(**{"headlines": NEWS, "policy": EVENTS, "macro": VALUES, **tables})


@pytest.mark.parametrize(
    "other",
    [
        changed(headlines=None),
        changed(headlines=NEWS.iloc[:0]),
        changed(headlines=NEWS.assign(headline=["Shares rise", "AAA wins a contracT", "Shares fall"])),
        changed(headlines=NEWS.assign(symbol=["", "AAAA", ""], headline=["Shares rise", " wins a contract", "x"])),
        changed(headlines=NEWS.assign(released=NEWS["released"] + pd.Timedelta(1, "us"))),
        changed(policy=EVENTS.assign(impact=[0.0, np.nan, np.nan])),
        changed(macro=VALUES.assign(value=np.nextafter(VALUES["value"], 9))),
    ],
)
def test_every_change_changes_the_hash(other: Context) -> None:
    assert other.digest() != WHOLE.digest()


def test_what_comes_later_does_not_change_the_hash_of_what_was_known() -> None:
    later = headlines(("2024-05-01", "", "Something new"))
    more = changed(headlines=pd.concat([NEWS, later]))
    assert more.digest(moment("2024-05-01")) == WHOLE.digest(moment("2024-05-01"))
    assert more.digest(moment("2024-05-02")) != WHOLE.digest(moment("2024-05-02"))


def test_the_hash_depends_on_nothing_of_this_machine() -> None:
    """Pinned: it is a key of caches that outlive a process."""
    assert Context(headlines=NEWS).digest() == "dc10fe9977e238a3abf513b59462ddc7d7104791"


# --- reading


def test_the_kinds_are_the_files() -> None:
    assert context.FOLDER.names() == ("headlines", "macro", "policy")
    assert set(context.SCHEMAS) == set(context.FOLDER.names())
    assert context.FOLDER.failures() == {}


def test_several_files_are_one_table(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("date,title\n2024-01-02,Shares rise\n")
    (tmp_path / "b.csv").write_text("when;what\n2024-01-03;Shares fall\n2024-01-03;Shares fall\n")
    given = {"columns": {"when": "released", "what": "headline"}}
    table = context.read("headlines", [(tmp_path / "a.csv", {}), (tmp_path / "b.csv", given)])
    assert table["headline"].tolist() == ["Shares rise", "Shares fall"]
    assert context.counts.of(table) == {"empty": 0, "repeated": 1, "rows": 3}


def test_a_wrong_name_is_an_error_with_those_there_are(tmp_path) -> None:
    with pytest.raises(UnknownName, match="headlines, macro, policy"):
        context.read("news", [])
    with pytest.raises(UnknownName, match=r"ingest.context_files.headlines.*timezone"):
        context.read("headlines", [(tmp_path / "a.csv", {"timezon": "UTC"})])
    with pytest.raises(BadParam, match="notice_days"):
        context.read("policy", [(tmp_path / "a.csv", {"notice_days": 0})])
    with pytest.raises(BadContext, match="no file"):
        context.read("headlines", [])
