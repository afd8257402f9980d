"""Validation a batch at a time: what is left on disk is what validation of the whole in memory says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from betti import batches, binding, catalog, io
from betti.context import Context
from betti.errors import BadBars, MissingArtifact, TooManyQuarantined
from betti.expectations.drift import Drifted
from betti.schemas import BARS
from betti.stages.validate import validate
from tests.conftest import REPOSITORY, random_bars

UNTIL = "2018-12-31T00:00:00+00:00"
KNOBS = {
    "max_quarantined_share": 0.5,
    "stale_open_share": 0.2,
    "jump": 0.02,
    "calendars": {},
    "drift": {"psi_warn": 0.25, "psi_stop": None, "ks_warn": 0.2, "ks_stop": None},
}


def repository(folder: Path, bars: pd.DataFrame, accepted: str | None = None, **knobs: object) -> Path:
    """A repository whose ingest has left these bars."""
    raw = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    raw["ingest"]["symbols"] = sorted(bars["symbol"].unique().tolist())
    raw["evaluate"]["trade_symbols"] = []
    (folder / "params.yaml").write_text(yaml.safe_dump({**raw, "validate": {**KNOBS, **knobs}}))
    (folder / "asof.yaml").write_text(yaml.safe_dump({"until": UNTIL, "accepted": accepted}))
    io.write_parts(folder / "data/1_bars", bars, BARS)
    return folder


def left(root: Path):
    return tuple(binding.read(catalog.artifact(name), root) for name in ("clean", "quarantine", "validation"))


def damaged(bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Some bars without a price, some the wrong way round, some twice, some far off, some weeks without any."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(bars), 40, replace=False)
    bars.loc[rows[:10], "close"] = np.nan
    bars.loc[rows[10:20], "high"] = bars.loc[rows[10:20], "low"] * 0.5
    bars.loc[rows[20:25], ["open", "high", "low", "close"]] *= 100
    gone = bars.index[rows[25] : rows[25] + 40]
    twice = bars.loc[rows[30:]].assign(volume=1.0)
    return pd.concat([bars.drop(gone), twice]).sort_values(["symbol", "timestamp"], ignore_index=True)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(300, 4000), seed=st.integers(0, 1000))
def test_batches_of_any_size_leave_what_the_whole_does(tmp_path_factory, monkeypatch, rows, seed):
    long = random_bars(3000, seed, "LONG", freq="1h")
    short = pd.concat([random_bars(n, n, f"S{n}", freq="1D") for n in (10, 80, 300)])
    bars = damaged(pd.concat([long, short], ignore_index=True), seed)
    accepted = str(long["timestamp"].iloc[2000])
    root = repository(tmp_path_factory.mktemp("judged"), bars, accepted)
    monkeypatch.setattr(batches, "ROWS", rows)
    binding.run(root, "validate", None)
    whole = validate(io.read_table(root / "data/1_bars", BARS), Context(), **KNOBS, until=UNTIL, accepted=accepted)
    clean, quarantine, validation = left(root)
    pd.testing.assert_frame_equal(clean, whole.clean)
    assert set(map(tuple, quarantine.astype(str).to_numpy())) == set(
        map(tuple, whole.quarantine.astype(str).to_numpy())
    )
    assert len(clean) + len(quarantine) == len(bars)
    assert validation.summary.expectations == whole.validation.summary.expectations
    assert validation.summary.moved == whole.validation.summary.moved
    for found, expected in zip(validation.summary.symbols, whole.validation.summary.symbols, strict=True):
        near = {"flat_bars", "repeated_bars", "stuck_price", "stale_opens"}  # stretches: each batch sees its own part
        assert {k: n for k, n in found.flags.items() if k not in near} == {
            k: n for k, n in expected.flags.items() if k not in near
        }
        assert found.model_copy(update={"flags": {}, "examples": []}) == expected.model_copy(
            update={"flags": {}, "examples": []}
        )


def test_a_refusal_leaves_what_was_there(tmp_path):
    bars = random_bars(300)
    root = repository(tmp_path, bars)
    binding.run(root, "validate", None)
    before = {f: f.read_bytes() for f in (root / "data").rglob("*") if f.is_file() and "1_bars" not in f.parts}
    bars.loc[:200, "close"] = -1.0
    io.write_parts(root / "data/1_bars", bars, BARS)
    with pytest.raises(TooManyQuarantined, match="AAA: 201 of 300 bars"):
        binding.run(root, "validate", None)
    assert {f: f.read_bytes() for f in before} == before
    assert not list((root / "data/.tmp").iterdir())


def test_no_bars_at_all_are_refused(tmp_path):
    root = repository(tmp_path, random_bars(3))
    io.remove(root / "data/1_bars")
    with pytest.raises(MissingArtifact, match="betti run"):
        binding.run(root, "validate", None)
    (root / "data/1_bars").mkdir()
    with pytest.raises(BadBars, match="no rows"):
        binding.run(root, "validate", None)


def thousandfold(bars: pd.DataFrame, since: int) -> pd.DataFrame:
    """The volume in thousands from a row on."""
    return bars.assign(volume=bars["volume"] / np.where(bars.index >= since, 1000.0, 1.0))


def test_a_volume_in_other_units_since_the_accepted_run_is_told(tmp_path):
    bars = random_bars(1000)
    accepted = str(bars["timestamp"].iloc[899])
    root = repository(tmp_path, thousandfold(bars, 900), accepted)
    binding.run(root, "validate", None)
    summary = left(root)[2].summary
    assert summary.accepted == pd.Timestamp(accepted).isoformat()
    (moved,) = summary.moved
    assert moved.column == "AAA volume"
    assert moved.rows == 100
    assert moved.distance == pytest.approx(1.0)


def test_it_stops_the_run_where_the_knob_says_so(tmp_path):
    bars = random_bars(1000)
    root = repository(tmp_path, thousandfold(bars, 900), str(bars["timestamp"].iloc[899]), drift={"psi_stop": 2.0})
    with pytest.raises(Drifted, match=r"clean bars: 1 columns moved too far .*AAA volume"):
        binding.run(root, "validate", None)
    assert not (root / "data/2_clean").exists()


def test_what_was_accepted_is_not_told_again(tmp_path):
    """The night it stops, `betti accept`, and the nights after it."""
    bars = thousandfold(random_bars(1000), 930)
    first, stop = str(bars["timestamp"].iloc[929]), {"psi_warn": 0.25, "psi_stop": 1.0}
    for last, accepted, stops in ((960, first, True), (961, first, True), (961, "961", False), (975, "961", False)):
        known = first if accepted == first else str(bars["timestamp"].iloc[960])
        root = repository(tmp_path, bars.iloc[:last], known, drift={**KNOBS["drift"], **stop})
        if stops:
            with pytest.raises(Drifted, match="betti accept"):
                binding.run(root, "validate", None)
        else:
            binding.run(root, "validate", None)
            assert left(root)[2].summary.moved == []


def test_a_few_new_days_are_compared_together_with_the_days_before_them(tmp_path):
    bars = random_bars(1000)
    root = repository(tmp_path, thousandfold(bars, 970), str(bars["timestamp"].iloc[969]))
    binding.run(root, "validate", None)
    assert [moved.column for moved in left(root)[2].summary.moved] == ["AAA volume"]


def test_without_an_accepted_run_nothing_is_compared(tmp_path):
    root = repository(tmp_path, thousandfold(random_bars(1000), 900))
    binding.run(root, "validate", None)
    summary = left(root)[2].summary
    assert (summary.accepted, summary.moved) == ("", [])


def test_a_symbol_with_a_calendar_has_its_gaps_told_by_it(tmp_path):
    pytest.importorskip("exchange_calendars", reason="pip install 'betti[calendars]'")
    days = random_bars(40, start="2018-06-25")
    bars = days[days["timestamp"].dt.dayofweek < 5].reset_index(drop=True)
    bars = bars[bars["timestamp"] != "2018-07-11"]  # a Wednesday; the 4th was a holiday and has a bar here
    root = repository(tmp_path, bars, calendars={"AAA": "XNYS"})
    binding.run(root, "validate", None)
    (quality,) = left(root)[2].summary.symbols
    assert [gap.after[:10] for gap in quality.gaps] == ["2018-07-10"]
    assert quality.gaps[0].sure == 1.0
