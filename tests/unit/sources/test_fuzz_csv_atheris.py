"""The search by coverage: its first files are sound, its judge sees a wrong value, what was found stays mended."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pytest

from betti.errors import BadBars
from tests import fuzz_csv_atheris
from tests.conftest import REPOSITORY
from tests.unit.sources.files import read

SEEDS = list(fuzz_csv_atheris.seeds())


def test_the_files_it_starts_from_are_read():
    assert {fuzz_csv_atheris.one(seed) for seed in SEEDS} == {"bars"}


@pytest.mark.parametrize("case", range(len(fuzz_csv_atheris.CASES)))
def test_every_case_gives_bars_or_an_error(case):
    assert {fuzz_csv_atheris.one(bytes([case]) + seed[1:]) for seed in SEEDS} <= {
        "bars",
        "BadBars",
        "UnreadableFile",
        "BadParam",
    }
    assert fuzz_csv_atheris.one(bytes([case])) == "BadBars", "an empty file"


@pytest.mark.parametrize(
    "lie",
    [
        lambda bars: bars.assign(close=bars["close"] + 1e-12),
        lambda bars: bars.iloc[1:],
        lambda bars: bars.assign(high=float("nan")),
        lambda bars: bars.assign(high=bars["low"], low=bars["high"]),
        lambda bars: bars.assign(timestamp=bars["timestamp"] + pd.Timedelta(hours=1)),
    ],
    ids=["a price", "a row less", "a price that is missing", "two columns", "another hour"],
)
def test_the_judge_sees_a_wrong_value(monkeypatch, lie):
    honest = fuzz_csv_atheris.fuzz_csv.came_of
    plain = next(seed for seed in SEEDS if b"timestamp,open" in seed)
    assert fuzz_csv_atheris.one(plain) == "bars"
    monkeypatch.setattr(fuzz_csv_atheris.fuzz_csv, "came_of", lambda *given: lie(honest(*given)))
    with pytest.raises(AssertionError, match="no delimiter explains"):
        fuzz_csv_atheris.one(plain)


def test_without_the_library_one_line_says_how_to_get_it():
    hidden = (
        "import runpy, sys; sys.modules['atheris'] = None; "
        "runpy.run_module('tests.fuzz_csv_atheris', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", hidden], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "atheris is not installed. Install it: pip install 'atheris>=2.3,<4'\n"


# What was found -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"unit": "s"}])
@pytest.mark.parametrize("line", [2, 3])
def test_a_price_is_no_time(tmp_path, options, line):
    """A dollar sign may stand before a price; before a time it shows that the columns are others."""
    lines = ["timestamp,open,high,low,close,volume", "1577836800,1,2,0.5,1.5,10", "1577840400,1,2,0.5,1.5,10"]
    lines[line - 1] = f"${lines[line - 1]}"
    (tmp_path / "x.csv").write_text("\n".join(lines))
    with pytest.raises(BadBars, match=rf"the time is '\$15778[0-9]+' in line {line}"):
        read("csv", tmp_path / "x.csv", **options)
