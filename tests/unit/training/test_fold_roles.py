"""Roles of rows in folds, against a plain join by key."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import io, splits
from betti.errors import BrokenArtifact
from betti.schemas import FOLDS, ROLES
from betti.training.fold_roles import NO_ROLE, FoldRoles
from tests.unit.splits.checks import spans

KEY = ["timestamp", "symbol"]


def joined(rows: pd.DataFrame, folds: pd.DataFrame, fold: int) -> list[str | float]:
    """The roles that a join gives, row by row."""
    mine = folds[folds["fold"] == fold].astype({"symbol": "str", "role": "str"})
    return rows[KEY].merge(mine, on=KEY, how="left")["role"].fillna("none").tolist()


def told(roles: FoldRoles, fold: int) -> list[str]:
    return [(*ROLES, "none")[code] for code in roles.codes[roles.numbers.index(fold)]]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    scheme=st.sampled_from(splits.FOLDER.names()),
    kept=st.floats(0.2, 1),
    listed=st.floats(0.2, 1),
    mixed=st.booleans(),
)
def test_roles_are_those_of_a_join(seed: int, scheme: str, kept: float, listed: float, mixed: bool) -> None:
    labels = spans(seed, rows=50, symbols=3)
    folds = splits.split(scheme, labels).sample(frac=listed, random_state=seed)
    folds = folds if mixed else folds.sort_index()
    rows = labels.sample(frac=kept, random_state=seed + 1).reset_index(drop=True)
    roles = FoldRoles.of(rows, folds)
    assert list(roles.numbers) == sorted(folds["fold"].unique())
    for fold in roles.numbers:
        expected = joined(rows, folds, fold)
        assert told(roles, fold) == expected
        for role in ROLES:
            assert roles.where(fold, role).tolist() == [at for at, one in enumerate(expected) if one == role]
            assert roles.listed(fold, role) == ((folds["fold"] == fold) & (folds["role"] == role)).sum()


def test_folds_as_they_are_written_give_the_same(tmp_path) -> None:
    labels = spans(3, rows=60)
    folds = splits.split("combinatorial", labels)
    io.write_table(tmp_path / "folds", folds, FOLDS)
    one, two = (FoldRoles.of(labels, table) for table in (folds, io.read_table(tmp_path / "folds", FOLDS)))
    np.testing.assert_array_equal(one.codes, two.codes)
    assert one.numbers == two.numbers
    assert one.codes.dtype == "int8"


def test_without_rows_or_folds_there_are_no_roles() -> None:
    labels = spans(3, rows=60)
    folds = splits.split("walk_forward", labels)
    assert FoldRoles.of(labels[:0], folds).codes.shape == (5, 0)
    assert FoldRoles.of(labels, folds[:0]).numbers == ()
    strangers = FoldRoles.of(labels.assign(symbol="ELSE" + labels["symbol"]), folds)
    assert (strangers.codes == NO_ROLE).all()
    assert strangers.listed(0, "test") > 0


def test_a_row_twice_is_refused() -> None:
    labels = spans(3, rows=60)
    folds = splits.split("walk_forward", labels)
    with pytest.raises(BrokenArtifact, match=r"labels.*occurs twice"):
        FoldRoles.of(pd.concat([labels, labels[:1]]), folds)
    with pytest.raises(BrokenArtifact, match="fold 0 lists a"):
        FoldRoles.of(labels, pd.concat([folds[:1], folds]))
