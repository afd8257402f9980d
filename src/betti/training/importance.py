"""Permutation importance: what an answer loses when one column tells of other rows (Breiman 2001, section 10).

For models without an importance of their own. A column that others repeat loses little, although the model uses it
(Strobl et al. 2008). What does not belong here: importances that models know themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.training.scores import scores
from betti.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Predict = Callable[[NDArray[np.float32]], Floats]

__all__ = ["permutation_importance"]


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
