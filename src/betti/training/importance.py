"""What columns are worth to models: by their own account, or by what an answer loses when a column is permuted.

Permutation (Breiman 2001, section 10) makes one column tell of other rows. A column that others repeat loses little,
although the model uses it (Strobl et al. 2008). What does not belong here: how models tell their own importance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from betti.training.scores import scores
from betti.windows import NamedInputs, Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from betti.models._protocol import BaseModel, Inputs

    Floats = NDArray[np.float64]
    Predict = Callable[[NDArray[np.float32]], Floats]

__all__ = ["Worth", "of_model", "permutation_importance", "table"]

ROWS = 256  # that a model without an importance of its own is asked about, evenly spaced
# Place of a column among those that a model was given -> what it is worth to it, in the model's own unit.
Worth = Mapping[int, float]


def permutation_importance(
    predict: Predict,
    X: NDArray[np.float32] | Windows,
    y: NDArray[np.int64],
    *,
    weights: Floats | None = None,
    repeats: int = 5,
    seed: int = 7,
) -> Floats:
    """Mean increase of the log loss, in nats, when one column is permuted among the rows.

    Of windows a column is permuted as a whole: each row takes that feature's values over some other row's window.
    Windows are gathered first, (n, length, features) of them: give no more rows than fit in memory.

    Args:
        predict: (n, ...) inputs to (n, classes) probabilities.
        X: (n, features), (n, length, features) or lazy windows. It is not changed.
        y: (n,) classes of these rows.
        weights: (n,) sample weights of the loss; None counts all alike.
        repeats: permutations of each column.
        seed: of the permutations.

    Returns:
        (features,) float64; around 0, above or below, for a column that is not used.

    >>> rows = np.array([[0, 0], [1, 0], [0, 1], [1, 1]] * 9, dtype="float32")
    >>> said = lambda X: np.column_stack([0.9 - 0.8 * X[:, 0], 0.1 + 0.8 * X[:, 0]])
    >>> permutation_importance(said, rows, rows[:, 0].astype("int64")).round(1).tolist()
    [1.0, 0.0]
    """
    rng = np.random.default_rng(seed)
    # A copy: columns are changed in place, one at a time.
    inputs = np.array(X[:] if isinstance(X, Windows) else X)
    plain = scores(y, predict(inputs), weights).loss
    found = np.zeros(inputs.shape[-1])
    for column in range(len(found)):
        kept = inputs[..., column].copy()
        for _ in range(repeats):
            inputs[..., column] = kept[rng.permutation(len(kept))]
            found[column] += (scores(y, predict(inputs), weights).loss - plain) / repeats
        inputs[..., column] = kept
    return found


def of_model(model: BaseModel, X: Inputs, y: NDArray[np.int64], seed: int) -> Worth:
    """What each column is worth: the model's own importance, or what permuting it costs on some of these rows.

    Args:
        model: fitted.
        X: inputs that it was not fitted on, where there are any.
        y: their classes.
        seed: of the permutations.

    Returns:
        Nothing for a model of several inputs, or where there are no rows to ask about.
    """
    own = model.get_feature_importance()
    if own is not None:
        return {int(place): value for place, value in own.items()}
    if isinstance(X, NamedInputs) or not len(y):
        return {}
    at = np.unique(np.linspace(0, len(y) - 1, min(ROWS, len(y))).round().astype("int64"))
    rows = X.take(at) if isinstance(X, Windows) else X[at]
    found = permutation_importance(
        lambda inputs: model.predict(inputs).class_probabilities, rows, y[at], repeats=1, seed=seed
    )
    return dict(enumerate(np.maximum(found, 0.0).tolist()))


def table(worth: Mapping[str, Worth], columns: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """`column`, `share`, `least`, `most`: what share of a model's whole importance a column has, the largest first.

    Importances of different models have different units; shares can be laid side by side. `share` is the mean over the
    models that were asked, with the least and the largest beside it; one that was not given the column counts with 0.

    Args:
        worth: model ("fold_0", ..., "final") -> what `of_model` found; models without any are left out.
        columns: model -> the columns that it was given, in order.
    """
    import pandas as pd

    shares: dict[str, list[float]] = {}
    asked = {name: found for name, found in worth.items() if sum(found.values()) > 0}
    for name, found in asked.items():
        whole = sum(found.values())
        for place, value in found.items():
            shares.setdefault(columns[name][place], []).append(value / whole)
    rows = [
        (column, sum(each) / len(asked), min(each) if len(each) == len(asked) else 0.0, max(each))
        for column, each in shares.items()
    ]
    found_table = pd.DataFrame(rows, columns=["column", "share", "least", "most"])
    return found_table.sort_values(["share", "column"], ascending=[False, True], ignore_index=True)
