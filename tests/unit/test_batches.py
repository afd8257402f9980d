"""A table on disk in batches: whole parts, all of them, in order."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import io
from betti.batches import Batches
from betti.schemas import BARS
from tests.conftest import random_bars


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=5), rows=st.integers(50, 700))
def test_batches_hold_every_row_once_in_whole_parts(tmp_path_factory, sizes, rows):
    path = tmp_path_factory.mktemp("batches") / "data" / "bars"
    whole = pd.concat([random_bars(n, k, f"S{k}", freq="12h") for k, n in enumerate(sizes)], ignore_index=True)
    io.write_parts(path, whole, BARS)
    batches = Batches(path, BARS, rows)
    found = list(batches)
    assert len(batches) == len(found)
    pd.testing.assert_frame_equal(pd.concat(found, ignore_index=True), io.read_table(path, BARS))
    parts = [set(zip(b["symbol"], b["timestamp"].dt.strftime("%Y-%m"), strict=True)) for b in found]
    assert sum(len(part) for part in parts) == len(set.union(*parts)), "a part is in two batches"
    month = 62
    assert all(len(batch) <= rows + month for batch in found)


def test_a_large_symbol_is_cut_into_batches_of_like_size(tmp_path):
    path = tmp_path / "data" / "bars"
    io.write_parts(path, random_bars(1000, freq="12h"), BARS)
    sizes = [len(batch) for batch in Batches(path, BARS, 300)]
    assert len(sizes) == 4
    assert max(sizes) - min(sizes) <= 2 * 62


def test_folders_beside_the_symbols_are_left_out(tmp_path):
    path = tmp_path / "data" / "bars"
    io.write_parts(path, random_bars(50), BARS, {"_quarantine": (random_bars(20, 2, "BBB"), BARS)})
    (found,) = Batches(path, BARS)
    assert set(found["symbol"]) == {"AAA"}


def test_an_empty_folder_has_no_batches(tmp_path):
    (tmp_path / "bars").mkdir()
    assert list(Batches(tmp_path / "bars", BARS)) == []
    with pytest.raises(FileNotFoundError):
        list(Batches(tmp_path / "nothing", BARS))
