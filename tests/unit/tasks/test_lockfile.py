"""dvc.lock as text: what DVC writes is split and put together again without a byte changed."""

from __future__ import annotations

from io import StringIO

from dvc.utils.serialize._yaml import _dump, parse_yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.lockfile import HEAD, LockText
from tests.conftest import REPOSITORY

NAMES = st.from_regex(r"[a-z]{1,8}(@[a-z0-9_-]{1,8})?", fullmatch=True)
ENTRIES = st.fixed_dictionaries(
    {
        "cmd": st.from_regex(r"python -m betti [a-z]+( [a-z]+)?", fullmatch=True),
        "params": st.dictionaries(
            NAMES, st.one_of(st.integers(), st.text("ab: '#\n", max_size=8), st.lists(st.floats(0, 1)))
        ),
        "outs": st.lists(st.fixed_dictionaries({"path": NAMES, "nfiles": st.integers(0, 9)}), min_size=1),
    }
)


def dumped(stages: dict) -> str:
    stream = StringIO()
    _dump({"schema": "2.0", "stages": stages}, stream)
    return stream.getvalue()


def fragment(name: str, entry: dict) -> str:
    return dumped({name: entry}).removeprefix(HEAD)


@given(st.dictionaries(NAMES, ENTRIES, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_splitting_and_joining_changes_no_byte(stages: dict):
    text = dumped(stages)
    parsed = LockText.parse(text)
    assert list(parsed.fragments) == list(stages)
    assert parsed.text() == text


@given(st.dictionaries(NAMES, ENTRIES, min_size=1, max_size=5), ENTRIES, st.data())
@settings(max_examples=60, deadline=None)
def test_replacing_a_stage_gives_what_dvc_would_write(stages: dict, entry: dict, data: st.DataObject):
    name = data.draw(st.sampled_from(sorted(stages)))
    lock = LockText.parse(dumped(stages))
    lock.replace(name, fragment(name, entry), order=list(stages))
    assert lock.text() == dumped({**stages, name: entry})


@given(st.permutations(["ingest", "validate", "labels@a", "labels@b", "report"]))
def test_the_order_does_not_depend_on_who_finished_first(finished: list[str]):
    order = ["ingest", "validate", "labels@a", "labels@b", "report"]
    lock = LockText.parse("")
    for name in finished:
        lock.replace(name, fragment(name, {"cmd": name}), order)
    assert lock.text() == dumped({name: {"cmd": name} for name in order})


def test_known_stages_keep_their_places_and_new_ones_follow(tmp_path):
    path = tmp_path / "dvc.lock"
    path.write_text(dumped({"b": {"cmd": "b"}, "a": {"cmd": "a"}}))
    lock = LockText.read(path)
    for name in ("d", "c", "a"):
        lock.replace(name, fragment(name, {"cmd": name * 2}), order=["a", "b", "c", "d"])
    lock.write(path, tmp_path)
    assert list(parse_yaml(path.read_text(), "lock")["stages"]) == ["b", "a", "c", "d"]
    assert [file.name for file in tmp_path.iterdir()] == ["dvc.lock"]


@given(st.dictionaries(NAMES, ENTRIES, min_size=2, max_size=4), st.data())
@settings(max_examples=60, deadline=None)
def test_a_file_that_was_cut_off_keeps_whole_stages_alone(stages: dict, data: st.DataObject):
    text = dumped(stages)
    cut = LockText.parse(text[: data.draw(st.integers(len(HEAD) + 2, len(text) - 1))])
    whole = LockText.parse(text).fragments
    *complete, last = [*cut.fragments, ""]
    assert all(cut.fragments[name] == whole[name] for name in complete[:-1])
    assert last == ""
    assert cut.text().endswith("\n")


def test_the_committed_lock_round_trips():
    text = (REPOSITORY / "dvc.lock").read_text()
    assert LockText.parse(text).text() == text
    assert list(LockText.parse(text).fragments) == list(parse_yaml(text, "dvc.lock")["stages"])
