from __future__ import annotations

import copy
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import BadModelInput, BrokenArtifact, MissingFile, PartUnavailable, UnknownName
from betti.networks.conditioning import ExactIndex, HnswIndex, Pattern, PatternLibrary
from betti.networks.conditioning.index import opened

WIDTH, OUTCOMES = 6, 2
INDEXES = ["exact", pytest.param("hnsw", marks=pytest.mark.skipif(not find_spec("hnswlib"), reason="needs hnswlib"))]


def patterns(known: list[int], seed: int = 0) -> list[Pattern]:
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(len(known), WIDTH)).astype("float32")
    outcomes = np.eye(OUTCOMES, dtype="float32")
    return [Pattern(row, outcomes[at % 2], when) for at, (row, when) in enumerate(zip(drawn, known, strict=True))]


def library(known: list[int], most: int = 100, seed: int = 0) -> PatternLibrary:
    return PatternLibrary.empty(WIDTH, OUTCOMES, most).extended(patterns(known, seed))


def queries(rows: int, seed: int = 9) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, WIDTH)).astype("float32"))


# The library --------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(-50, 50), max_size=6), max_size=6), st.integers(1, 8))
def test_the_oldest_go_first_however_patterns_come(batches: list[list[int]], most: int) -> None:
    held = PatternLibrary.empty(WIDTH, OUTCOMES, most)
    whole: list[tuple[int, int]] = []
    given = 0
    for batch in batches:
        held = held.extended(patterns(batch))
        whole = sorted([*whole, *zip(batch, range(given, given + len(batch)), strict=True)])[-most:]
        given += len(batch)
        assert sorted(zip(held.known.tolist(), held.serials.tolist(), strict=True)) == whole
    assert len(held) <= most
    assert held.serials.tolist() == sorted(held.serials.tolist())
    assert held.given == given


def test_patterns_expire_by_age() -> None:
    held = library([5, 1, 9, 3])
    young = held.since(4)
    assert young.known.tolist() == [5, 9]
    assert young.serials.tolist() == [0, 2]
    assert len(held) == 4  # a value: it does not change


def test_what_was_saved_is_loaded_and_grows_on(tmp_path: Path) -> None:
    held = library([5, 1, 9, 3], most=5)
    held.save(tmp_path / "one")
    again = PatternLibrary.load(tmp_path / "one")
    again.save(tmp_path / "two")
    for name in ("library.json", "library.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    more = patterns([7, 2], seed=3)
    one, other = held.extended(more), again.extended(more)
    assert one.known.tolist() == other.known.tolist() == [5, 9, 3, 7, 2]
    assert one.serials.tolist() == other.serials.tolist()
    assert np.array_equal(one.features, other.features)


def test_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"library\.json"):
        PatternLibrary.load(tmp_path)
    library([1, 2]).save(tmp_path)
    (tmp_path / "library.safetensors").write_bytes(b"no tensors")
    with pytest.raises(BrokenArtifact, match="not a safetensors file"):
        PatternLibrary.load(tmp_path)
    (tmp_path / "library.json").write_text("[]")
    with pytest.raises(BrokenArtifact, match="most"):
        PatternLibrary.load(tmp_path)


def test_other_widths_and_infinities_are_refused() -> None:
    held = library([1])
    wide = Pattern(np.ones(WIDTH + 1, "float32"), np.ones(OUTCOMES, "float32"), 1)
    with pytest.raises(BadModelInput, match="It takes"):
        held.extended([wide])
    with pytest.raises(BadModelInput, match="2 shapes"):
        held.extended([wide, *patterns([1])])
    with pytest.raises(BadModelInput, match="not finite"):
        held.extended([Pattern(np.full(WIDTH, np.nan), np.ones(OUTCOMES), 1)])


# Search -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INDEXES)
@settings(max_examples=40, deadline=None)
@given(
    known=st.lists(st.integers(0, 30), min_size=1, max_size=40),
    as_of=st.lists(st.integers(-3, 33), min_size=1, max_size=8),
    count=st.integers(1, 12),
    seed=st.integers(0, 3),
)
def test_no_query_sees_what_was_known_later(
    name: str, known: list[int], as_of: list[int], count: int, seed: int
) -> None:
    held, asked = library(known, seed=seed), queries(len(as_of), seed)
    found = opened(name, 100).search(held, asked, torch.tensor(as_of), count)
    similarity = torch.nn.functional.cosine_similarity(asked[:, None], torch.from_numpy(held.features)[None], dim=2)
    for row, when in enumerate(as_of):
        rows = found.rows[row][found.rows[row] >= 0].numpy()
        visible = np.flatnonzero(held.known <= when)
        assert set(rows) <= set(visible)
        assert len(rows) == len(set(rows)) == min(count, len(visible))
        # The slow and obvious version: sort all that may be seen.
        best = np.sort(similarity[row].numpy()[visible])[::-1][:count]
        assert np.allclose(found.similarity[row][found.rows[row] >= 0].numpy(), best, atol=1e-5)


def test_times_are_compared_as_integers() -> None:
    later = 1_700_000_000_000_000_001  # as float the one before would be the same
    found = ExactIndex().search(library([later]), queries(2), torch.tensor([later - 1, later]), 1)
    assert found.rows.tolist() == [[-1], [0]]


def planted(rows: int, width: int = 128, families: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Patterns of families: each a direction of its own, with noise."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(families, width))
    family = rng.integers(0, families, rows)
    return (centres[family] + 0.7 * rng.normal(size=(rows, width))).astype("float32"), family


@pytest.mark.parametrize("name", INDEXES)
def test_neighbours_of_a_planted_family_are_of_that_family(name: str) -> None:
    rows, family = planted(2100)
    held = PatternLibrary.empty(128, 1).with_rows(rows[100:], np.zeros((2000, 1)), np.arange(2000))
    found = opened(name, 100).search(held, torch.from_numpy(rows[:100]), None, 8)
    same = family[100:][found.rows.numpy()] == family[:100, None]
    assert same.mean() > 0.95


@pytest.mark.skipif(not find_spec("hnswlib"), reason="needs hnswlib")
def test_recall_of_the_graph() -> None:
    rows, _ = planted(3064)
    held = PatternLibrary.empty(128, 1).with_rows(rows[64:], np.zeros((3000, 1)), np.arange(3000))
    asked = torch.from_numpy(rows[:64])
    exact = ExactIndex().search(held, asked, None, 8).rows.tolist()
    found = HnswIndex().search(held, asked, None, 8).rows.tolist()
    recall = np.mean([len(set(one) & set(other)) / 8 for one, other in zip(exact, found, strict=True)])
    assert recall > 0.95


@pytest.mark.skipif(not find_spec("hnswlib"), reason="needs hnswlib")
def test_the_graph_follows_a_library_that_changes() -> None:
    rng = np.random.default_rng(0)
    held, index, exact = PatternLibrary.empty(WIDTH, OUTCOMES, most=60), HnswIndex(), ExactIndex()
    asked = queries(16)
    for step in range(12):
        fresh = [int(when) for when in rng.integers(0, 1000, 11)]
        held = held.extended(patterns(fresh, seed=step))
        if step == 7:
            held = held.since(400)  # more go than are left
        wanted, found = (one.search(held, asked, None, 5) for one in (exact, index))
        assert found.rows.tolist() == wanted.rows.tolist()
    assert copy.deepcopy(index).search(held, asked, None, 5).rows.tolist() == wanted.rows.tolist()


def test_unknown_and_absent_indexes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="exact, hnsw"):
        opened("annoy", 100)
    monkeypatch.setattr("betti.networks.conditioning.index.find_spec", lambda name: None)
    assert isinstance(opened("auto", 1_000_000), ExactIndex)
    with pytest.raises(PartUnavailable, match="pip install"):
        opened("hnsw", 100)
    monkeypatch.setattr("betti.networks.conditioning.index.find_spec", lambda name: object())
    assert isinstance(opened("auto", 10_000), ExactIndex)
    assert isinstance(opened("auto", 1_000_000), HnswIndex)
