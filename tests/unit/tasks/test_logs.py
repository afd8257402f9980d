"""What a stage told in a process of its own stays in a file, and the file says what it made."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from pathlib import Path

import pytest

from betti.errors import BadInput
from tasks import body, logs
from tests.unit.flows import trained

STAGE = "train@up-lightgbm"


def words(path: Path) -> list[str]:
    """The lines without their times, which have to be times."""
    lines = [line.partition(" ") for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(datetime.fromisoformat(time).tzinfo is not None for time, _, _ in lines)
    return [told for _, _, told in lines]


def written(root: Path) -> Path:
    return root / ".betti" / "logs" / f"{STAGE}.log"


def test_lines_stay_and_of_progress_how_far_it_got(tmp_path: Path) -> None:
    with logs.opened(tmp_path, STAGE) as log:
        log.line("WARNING out of memory")
        assert words(written(tmp_path)) == ["WARNING out of memory"], "a killed process leaves what it told"
        for done in (1, 2, 3):
            log.progress(done, 3, "rounds")
        for step in ((1, 9, "epochs"), (4, 9, "epochs"), (2, 9, "epochs"), (1, 2, "models"), (1, 9, "epochs")):
            log.progress(*step)
        log.line("ended")
    stops = ["rounds: 3 of 3", "epochs: 4 of 9", "epochs: 2 of 9", "models: 1 of 2", "epochs: 1 of 9"]
    assert words(written(tmp_path)) == ["WARNING out of memory", *stops, "ended"]
    with logs.opened(tmp_path, STAGE):
        pass
    assert words(written(tmp_path)) == [], "the file is of the stage's last time"


def test_a_log_belongs_to_what_was_made_when_it_was_written(tmp_path: Path) -> None:
    logs.sign(tmp_path, STAGE, {"models": "a" * 32})
    assert logs.log_of(tmp_path, STAGE, "models", "a" * 32) is None, "nothing was told"
    with logs.opened(tmp_path, STAGE) as log:
        log.line("made models of clay")
    assert logs.log_of(tmp_path, STAGE, "models", "a" * 32) is None, "it did not end"
    logs.sign(tmp_path, STAGE, {"models": "a" * 32, "learning.csv": "b" * 32})
    assert logs.log_of(tmp_path, STAGE, "models", "a" * 32) == written(tmp_path)
    assert logs.log_of(tmp_path, STAGE, "models", "c" * 32) is None, "of other models"
    assert logs.log_of(tmp_path, "evaluate@up-lightgbm", "models", "a" * 32) is None


def test_what_is_heard_goes_into_the_log_with_its_level_and_on_without(tmp_path: Path) -> None:
    tail, said, steps = deque[str](), [], []
    lines = ["INFO 3 GB expected", "progress 1/5 epochs", "WARNING batches of 32", "", "half a line of C"]
    with logs.opened(tmp_path, STAGE) as log:
        for line in lines:
            body._hear(line, tail, lambda *step: steps.append(step), said.append, log)
    told = ["INFO 3 GB expected", "epochs: 1 of 5", "WARNING batches of 32", "half a line of C"]
    assert words(written(tmp_path)) == told
    assert said == ["3 GB expected", "batches of 32", "half a line of C"] and steps == [(1, 5, "epochs")]
    assert list(tail) == ["batches of 32", "half a line of C"], "what tells why it ended"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.lay_out(tmp_path_factory.mktemp("laid-out"))


def test_a_training_in_its_own_process_leaves_its_log(workspace: Path) -> None:
    said: list[str] = []
    body.run(workspace, STAGE, lambda *_: None, said.append)
    told = words(written(workspace))
    assert told[-1] == "ended with exit code 0"
    assert "models: 4 of 4" in told and any(line.startswith("rounds: ") for line in told)


def test_a_refusal_leaves_its_log_too(workspace: Path) -> None:
    with pytest.raises(BadInput, match="'nobody'; Available: up-lightgbm") as refused:
        body.run(workspace, "train@nobody", lambda *_: None, lambda _: None)
    told = words(workspace / ".betti" / "logs" / "train@nobody.log")
    assert told[-1] == "ended with exit code 2" and told[-2] in str(refused.value)
