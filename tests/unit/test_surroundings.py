"""Headlines, events and releases on their way from files to features: what is cut, what is kept, what is made anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from betti import binding, catalog, io
from betti.context import Context
from betti.errors import BadParam, UnknownName
from betti.schemas import BARS, FEATURES
from tests.conftest import REPOSITORY, random_bars

FIRST = pd.Timestamp("2024-01-01", tz="UTC")
UNTIL = "2024-03-20T00:00:00+00:00"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with four months of hourly bars and releases of one series."""
    raw = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    raw["ingest"] = {
        "source": "parquet",
        "symbols": ["AAA"],
        "interval": "1h",
        "options": {"path": "bars.parquet"},
        "context_files": {"macro": [{"path": "macro.csv"}]},
    }
    raw["evaluate"]["trade_symbols"] = []
    raw["features"]["context"] = {"change_days": 7, "history_days": 60}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    random_bars(2900, symbol="AAA", start="2024-01-01", freq="1h").to_parquet(tmp_path / "bars.parquet", index=False)
    released = pd.date_range("2023-10-02 13:30", "2024-04-20", freq="7D", tz="UTC")
    values = np.round(3 + np.random.default_rng(0).normal(0, 0.2, len(released)), 2)
    pd.DataFrame(
        {
            "series": "US_CPI_YOY",
            "observed": released.normalize() - pd.Timedelta(days=20),
            "released": released,
            "value": values,
        }
    ).to_csv(tmp_path / "macro.csv", index=False)
    return tmp_path


def run(root: Path, until: str = UNTIL) -> pd.DataFrame:
    (root / "asof.yaml").write_text(f'until: "{until}"\naccepted: null\n')
    for stage, item in (("ingest", None), ("validate", None), ("features", "context")):
        binding.run(root, stage, item)
    return io.read_table(root / "data/3_features/context", FEATURES)


def digests(root: Path) -> dict[str, bytes]:
    files = sorted(f for f in (root / "data").rglob("*.parquet") if "_revisions" not in f.parts)
    return {str(f.relative_to(root)): f.read_bytes() for f in files}


def test_releases_reach_the_features_of_their_bar(root, monkeypatch):
    monkeypatch.chdir(root)
    table = run(root)
    shown = table.set_index("timestamp").loc["2024-02-01":]
    moved = [column for column in shown.columns[1:] if shown[column].nunique() > 3]
    assert moved, "the series shows in no column"
    changes = shown.index[(shown[moved].diff().abs() > 1e-3).any(axis=1)]
    due = pd.date_range("2024-02-05 13:00", "2024-03-19", freq="7D", tz="UTC")
    assert set(due) <= set(changes)


def test_what_is_released_after_the_last_bar_stays_out(root, monkeypatch):
    monkeypatch.chdir(root)
    run(root)
    for name in ("given_context", "context"):
        found = binding.read(catalog.artifact(name), root)
        assert isinstance(found, Context)
        assert found.headlines is None
        assert found.macro["released"].max() == pd.Timestamp("2024-03-18 13:30", tz="UTC")


def test_a_day_more_costs_a_day_and_equals_a_rebuild(root, monkeypatch):
    monkeypatch.chdir(root)
    run(root, "2024-03-17T23:00:00+00:00")
    before = set((root / ".betti/parts").iterdir())
    run(root, "2024-03-18T23:00:00+00:00")
    added = set((root / ".betti/parts").iterdir()) - before
    assert len(added) == 1, "a release made older parts stale"
    grown = digests(root)
    io.remove(root / ".betti")
    io.remove(root / "data")
    run(root, "2024-03-18T23:00:00+00:00")
    assert digests(root) == grown


def test_a_release_that_is_corrected_makes_stale_what_shows_it(root, monkeypatch):
    monkeypatch.chdir(root)
    before = run(root)
    table = pd.read_csv(root / "macro.csv")
    row = table.index[table["released"].str.startswith("2024-02-19")][0]
    table.loc[row, "value"] += 1
    table.to_csv(root / "macro.csv", index=False)
    after = run(root)
    same = (before.fillna(0) == after.fillna(0)).all(axis=1)
    first = before["timestamp"][~same].iloc[0]
    assert first == pd.Timestamp("2024-02-19 13:00", tz="UTC")


def test_a_family_that_does_not_look_is_not_made_anew(root, monkeypatch):
    monkeypatch.chdir(root)
    run(root)
    binding.run(root, "features", "technical")
    before = set((root / ".betti/parts").iterdir())
    (root / "macro.csv").write_text((root / "macro.csv").read_text().replace("US_CPI_YOY", "OTHER"))
    binding.run(root, "ingest", None)
    binding.run(root, "validate", None)
    binding.run(root, "features", "technical")
    assert set((root / ".betti/parts").iterdir()) == before


@pytest.mark.parametrize(
    ("block", "error", "said"),
    [
        ({"makro": []}, UnknownName, "did you mean 'macro'"),
        ({"macro": [{"path": "macro.csv", "serie": "x"}]}, UnknownName, "did you mean 'series'"),
        ({"macro": [{}]}, BadParam, "takes a path"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(root, monkeypatch, block, error, said):
    monkeypatch.chdir(root)
    raw = yaml.safe_load((root / "params.yaml").read_text())
    raw["ingest"]["context_files"] = block
    (root / "params.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(error, match=said):
        run(root)
    assert not (root / "data").exists()


def test_without_context_there_is_no_folder_of_it(tmp_path):
    io.write_parts(tmp_path / "data/1_bars", random_bars(300), BARS)
    for name in ("params.yaml", "asof.yaml"):
        (tmp_path / name).write_text((REPOSITORY / name).read_text())
    binding.run(tmp_path, "validate", None)
    assert not (tmp_path / "data/2_clean/_context").exists()
    assert binding.read(catalog.artifact("context"), tmp_path).macro is None
