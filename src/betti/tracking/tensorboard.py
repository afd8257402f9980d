"""TensorBoard: curves and scores as event files, a folder per run and version of its models.

The default place is `tensorboard` in the repository's root: `tensorboard --logdir tensorboard`. Written with
TensorBoard's own writer, which needs no torch. Knobs and tags stand in its text tab; files and models are not copied.
An entry is a folder named after the run and the hash of its models, written beside its place and renamed.
"""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from betti.tracking._protocol import Reference, TrackingFault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from betti.tracking._protocol import Record

__all__ = ["Tensorboard", "open_tracker"]

NAME = "tensorboard"
FOLDER = "tensorboard"
MARK = "evaluation.md5"
EVALUATION = ".evaluation"
DIGITS = 12  # of a hash, in a folder's name


def open_tracker(root: Path, uri: str | None) -> Tensorboard:
    """Event files under the folder `uri`, relative to `root`; None is `tensorboard`."""
    return Tensorboard(root / (uri or FOLDER), uri or FOLDER)


class Tensorboard:
    """One folder of event files per trained run and version of its models."""

    def __init__(self, folder: Path, named: str) -> None:
        self._folder, self._named = folder, named

    def log(self, record: Record) -> Reference:
        """Make the folder of these models if there is none, then add their evaluation if it is not in it."""
        name = f"{record.run}-{record.models[:DIGITS]}"
        place = self._folder / name
        try:
            if not place.is_dir():
                self._trained(place, record)
            mark = place / MARK
            known = mark.read_text(encoding="utf-8") if mark.is_file() else None
            if record.evaluation is not None and known != record.evaluation:
                _write_instead(place, _scalars(record.scores))
                mark.write_text(record.evaluation, encoding="utf-8")
        except OSError as cause:
            raise TrackingFault(NAME, str(self._folder), cause) from cause
        return Reference(NAME, name, str(self._folder), f"tensorboard --logdir {self._named}")

    def _trained(self, place: Path, record: Record) -> None:
        scratch = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            facts = [(0, _text("knobs", record.params)), (0, _text("tags", record.tags))]
            curves = [(one.step, Summary(value=[Summary.Value(tag=one.name, simple_value=one.value)]))
                      for one in record.curves]  # fmt: skip
            _write(scratch, ".training", [*facts, *curves])
            scratch.rename(place)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _write_instead(place: Path, scores: list[tuple[int, Summary]]) -> None:
    """Write an evaluation in the place of those before it.

    TensorBoard reads the files of a folder in the order of their names, which count writers without leading zeros:
    of two evaluations written in one second, either may come last.
    """
    earlier = list(place.glob(f"*{EVALUATION}"))
    _write(place, EVALUATION, scores)
    for file in earlier:
        file.unlink()


def _scalars(scores: Mapping[str, float]) -> list[tuple[int, Summary]]:
    values = [Summary.Value(tag=name, simple_value=value) for name, value in scores.items()]
    return [(0, Summary(value=values))]


def _text(name: str, facts: Mapping[str, str]) -> Summary:
    """Facts as a Markdown table, which the text tab renders."""
    rows = "".join(f"| {key} | {value.replace('|', '/')} |\n" for key, value in facts.items())
    return text_pb(name, f"| name | value |\n|---|---|\n{rows}")


def _write(folder: Path, ending: str, summaries: list[tuple[int, Summary]]) -> None:
    writer = EventFileWriter(str(folder), filename_suffix=ending)
    now = time.time()
    for step, summary in summaries:
        writer.add_event(Event(wall_time=now, step=step, summary=summary))
    writer.close()
