"""The trial ledger: nothing is lost, nothing counts twice, however runs and branches come together."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betti import trials
from betti.trials import BrokenLedger, Data, FoldScore, Trial
from tests.conftest import REPOSITORY


def trial(seed: int = 7, *, config: dict | None = None, day: str = "a", **changed) -> Trial:
    facts = {
        "at": "2026-01-01T00:00:00+00:00",
        "origin": "run",
        "run": "one",
        "target": "trigger",
        "model": "logistic",
        "set": "wide",
        "seed": seed,
        "config": {"C": 1.0} if config is None else config,
        "data": Data(set=day, labels="l", folds="f"),
    }
    return Trial(**{**facts, **changed})


SCORES = {"folds": {"fold_0": FoldScore(rows=9, accuracy=0.5, log_loss=0.7, macro_f1=0.4)}, "sharpe_per_bar": 0.01}
made = st.builds(
    lambda seed, day, at, sharpe: trial(seed, day=day, at=at, sharpe_per_bar=sharpe),
    st.integers(0, 2), st.sampled_from("ab"), st.sampled_from(["2026-01-01", "2026-01-02"]),
    st.sampled_from([None, 0.1, -0.2]),
)  # fmt: skip
ledgers = st.lists(made, max_size=6)


@given(ledgers, ledgers, ledgers)
def test_branches_may_be_merged_in_any_order_and_any_number_of_times(a, b, c):
    whole = trials.merged(a, b, c)
    assert whole == trials.merged(trials.merged(c, a), b) == trials.merged(a, trials.merged(b, c, b))
    assert {one.key for one in whole} == {one.key for one in [*a, *b, *c]}
    assert [one.key for one in whole] == sorted({one.key for one in whole})


@given(made)
def test_a_line_is_read_back_as_it_was(one):
    assert Trial.of(one.line()) == one
    assert "\n" not in one.line()


def test_what_makes_a_trial_and_what_a_configuration():
    one = trial()
    for other in (trial(at="later"), trial(run="two"), trial(origin="tune"), trial(**SCORES), trial(valid_loss=0.3)):
        assert other.key == one.key
    for other in (
        trial(8),
        trial(config={"C": 2.0}),
        trial(target="up"),
        trial(model="m"),
        trial(set="s"),
        trial(prune=0.9),
    ):
        assert other.key != one.key and other.configuration != one.configuration
    tomorrow = trial(day="b")
    assert tomorrow.key != one.key and tomorrow.configuration == one.configuration


def test_trials_and_configurations_are_counted_by_target():
    ledger = [trial(), trial(), trial(day="b"), trial(8), trial(target="up")]
    assert trials.count(ledger, "trigger") == trials.Counts(trials=3, configurations=2)
    assert trials.count(ledger, "nothing") == trials.Counts(0, 0)


def test_a_trial_is_written_once_and_its_scores_when_they_come(tmp_path: Path):
    assert trials.read(tmp_path) == ()
    assert trials.add(tmp_path, [trial(), trial(8)]) == 2
    before = (tmp_path / trials.FILE).read_bytes()
    assert trials.add(tmp_path, [trial(at="2027-01-01")]) == 0
    assert (tmp_path / trials.FILE).read_bytes() == before
    assert trials.add(tmp_path, [trial(**SCORES)]) == 1
    assert trials.add(tmp_path, [trial(at="2027-01-01", **SCORES)]) == 0
    assert trials.add(tmp_path, [trial()]) == 0, "a trial does not lose its scores"
    found = {one.key: one for one in trials.read(tmp_path)}
    assert found[trial().key].sharpe_per_bar == 0.01 and not found[trial(8).key].evaluated
    assert len(found) == 2


def test_the_file_is_sorted_lines_of_json_and_a_union_of_two_is_a_ledger(tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    for root, seeds in ((one, (1, 2, 3)), (two, (3, 4))):
        root.mkdir()
        trials.add(root, [trial(seed) for seed in seeds])
    trials.add(two, [trial(3, **SCORES)])
    lines = [(root / trials.FILE).read_text().splitlines() for root in (one, two)]
    assert [json.loads(line)["key"] for line in lines[0]] == sorted(json.loads(line)["key"] for line in lines[0])
    (one / trials.FILE).write_text("\n".join([*lines[1], "", *lines[0]]) + "\n")  # what a union merge leaves
    found = trials.read(one)
    assert len(found) == 4 and [one.seed for one in found if one.evaluated] == [3]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("{", "is no trial"),
        ("[1]", "is no trial"),
        ('{"at": "x"}', "fields do not fit"),
        ("<<<<<<< ours", "is no trial"),
    ],
)
def test_a_broken_line_is_named_and_nothing_is_written(tmp_path: Path, line: str, found: str):
    trials.add(tmp_path, [trial()])
    path = tmp_path / trials.FILE
    path.write_text(path.read_text() + line + "\n")
    before = path.read_bytes()
    with pytest.raises(BrokenLedger, match=rf"line 2: .*{found}.*git checkout trials.jsonl"):
        trials.add(tmp_path, [trial(8)])
    assert path.read_bytes() == before
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BrokenLedger, match="UTF-8"):
        trials.read(tmp_path)


def _add_some(root: Path, first: int) -> None:
    for seed in range(first, first + 25):
        trials.add(root, [trial(seed)])


def test_writers_side_by_side_lose_nothing(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_add_some, args=(tmp_path, first)) for first in (0, 20, 100)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert {one.seed for one in trials.read(tmp_path)} == {*range(45), *range(100, 125)}


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path):
    """Killed at some moment of its writing, again and again: what is there is always a ledger, and it only grows."""
    program = (
        "import itertools; from pathlib import Path; from betti import trials\n"
        "from tests.unit.test_trials import trial\n"
        "for n in itertools.count(): trials.add(Path('.'), [trial(n, config={'pad': 'x' * 20000})])"
    )
    known = 0
    for wait in (0.0, 0.01, 0.03):
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'src'}"},
        )
        deadline = time.monotonic() + 60
        while len(trials.read(tmp_path)) <= known and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        found = len(trials.read(tmp_path))
        assert found > known
        known = found
    assert trials.add(tmp_path, [trial(10**6)]) == 1
