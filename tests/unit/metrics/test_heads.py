from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, mean_squared_error

from betti.errors import BadModelInput
from betti.metrics.heads import deviation, head_scores, output_columns

numbers = arrays("float64", 12, elements=st.integers(-5, 5).map(float))  # few values, so that ranks are shared


@given(numbers, numbers)
def test_what_libraries_say(truth: np.ndarray, said: np.ndarray) -> None:
    found = deviation(truth, said)
    assert found.rows == 12
    assert found.mae == pytest.approx(mean_absolute_error(truth, said))
    assert found.rmse == pytest.approx(np.sqrt(mean_squared_error(truth, said)))
    if np.ptp(truth) == 0 or np.ptp(said) == 0:
        assert found.spearman is None
    else:
        assert found.spearman == pytest.approx(spearmanr(truth, said).statistic)


def rows(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"fold": [0, 0, 1, 1, 2], **columns})


def test_rows_where_either_side_is_silent_do_not_count() -> None:
    table = rows(size=[1.0, np.nan, 3.0, 4.0, np.nan], output_size=[2.0, 5.0, np.nan, 4.5, 1.0])
    (name, head), *others = head_scores(table).items()
    assert (name, others) == ("size", [])
    assert (head.pooled.rows, head.pooled.mae) == (2, 0.75)
    assert {fold: (one.rows, one.mae) for fold, one in head.folds.items()} == {"fold_0": (1, 1.0), "fold_1": (1, 0.5)}


def test_an_output_without_a_label_or_without_a_known_row_has_no_score() -> None:
    assert head_scores(rows(output_size=np.ones(5))) == {}
    assert head_scores(rows(size=np.nan, output_size=np.ones(5))) == {}
    assert head_scores(rows(size=np.ones(5))) == {}


def test_one_number_a_row_is_a_column_in_the_order_asked_for() -> None:
    said = {"size": np.array([1.0, np.nan, 3.0]), "mask": np.ones((3, 4))}
    found = output_columns("any", said, np.array([2, 1]))
    assert list(found) == ["output_size"]
    np.testing.assert_array_equal(found["output_size"], [3.0, np.nan])
    with pytest.raises(BadModelInput, match="infinite output_size"):
        output_columns("any", {"size": np.array([np.inf])}, np.array([0]))
