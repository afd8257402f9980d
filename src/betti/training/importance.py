"""What columns are worth to models: by their own account, or by what an answer loses when a column is permuted.

Permutation (Breiman 2001, section 10) makes one column tell of other rows. A column that others repeat loses little,
although the model uses it (Strobl et al. 2008). A model of several inputs is asked how far its answers move when one
input, or one group of columns, says nothing of the row: what it listens to, not whether it is right to. Its log loss on
a few hundred rows tells too little of markets to share it out. What does not belong here: how models tell their own
importance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

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

__all__ = ["Ablated", "Worth", "of_inputs", "of_model", "permutation_importance", "table"]

ROWS = 256  # that a model without an importance of its own is asked about, evenly spaced
REPEATS = 5  # permutations of a whole input: there are few of them
# Name of a column, an input ("bars") or a group of an input's columns ("context:news") -> what it is worth to a model,
# in the model's own unit.
Worth = Mapping[str, float]


@runtime_checkable
class Ablated(Protocol):
    """A model of several inputs that knows groups among their columns, and what its answers owe to each."""

    def ablation(self, X: NamedInputs) -> Mapping[str, float]:
        """How far answers to these rows move when a group is silenced, by "input:group"; 0 for one that is not used."""


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


def of_inputs(
    answer: Callable[[NamedInputs], Floats], X: NamedInputs, *, repeats: int = REPEATS, seed: int = 7
) -> dict[str, float]:
    """How far class probabilities move, on average, when one input as a whole is that of some other row.

    The distance is total variation, 0 to 1. Rows of the input stay whole, so that its columns still agree with each
    other; 0 would say nothing of an input that is not scaled.

    Args:
        answer: n rows to (n, classes) probabilities.
        X: the rows.
        repeats: permutations of each input.
        seed: of the permutations.

    Returns:
        Input -> distance; 0 for one that is not used.

    >>> rows = NamedInputs({"told": np.array([[0], [1], [0], [1]], dtype="float32"), "idle": np.ones((4, 3))})
    >>> found = of_inputs(lambda X: np.column_stack([X["told"][:, 0], 1 - X["told"][:, 0]]), rows, seed=1)
    >>> found["told"] > found["idle"] == 0
    True
    """
    rng = np.random.default_rng(seed)
    plain, found = answer(X), dict.fromkeys(X, 0.0)
    for name in X:
        for _ in range(repeats):
            others = NamedInputs({**X, name: X.take(rng.permutation(X.rows))[name]})
            found[name] += float(0.5 * np.abs(answer(others) - plain).sum(axis=1).mean()) / repeats
    return found


def of_model(model: BaseModel, X: Inputs, y: NDArray[np.int64], columns: Sequence[str], seed: int) -> Worth:
    """What each column is worth: the model's own importance, or what permuting it costs on some of these rows.

    Of a model of several inputs what each input is worth, or each group that it knows among their columns. What lies
    below 0 counts as 0: a permutation may help by chance.

    Args:
        model: fitted.
        X: inputs that it was not fitted on, where there are any.
        y: their classes.
        columns: that the model was given, in order.
        seed: of the permutations.

    Returns:
        Nothing where the model has no importance of its own and there are no rows to ask about.
    """
    own = model.get_feature_importance()
    if own is not None:
        return {columns[int(place)]: max(value, 0.0) for place, value in own.items()}
    if not len(y):
        return {}
    at = np.unique(np.linspace(0, len(y) - 1, min(ROWS, len(y))).round().astype("int64"))
    if isinstance(X, NamedInputs):
        rows = X.take(at)
        if isinstance(model, Ablated):
            return model.ablation(rows)
        return of_inputs(lambda inputs: model.predict(inputs).class_probabilities, rows, seed=seed)
    single = X.take(at) if isinstance(X, Windows) else X[at]
    found = permutation_importance(
        lambda inputs: model.predict(inputs).class_probabilities, single, y[at], repeats=1, seed=seed
    )
    return dict(zip(columns, np.maximum(found, 0.0).tolist(), strict=True))


def table(worth: Mapping[str, Worth]) -> pd.DataFrame:
    """`column`, `share`, `least`, `most`: what share of a model's whole importance a column has, the largest first.

    Importances of different models have different units; shares can be laid side by side. `share` is the mean over the
    models that were asked, with the least and the largest beside it; one that was not given the column counts with 0.

    Args:
        worth: model ("fold_0", ...) -> what `of_model` found; models without any are left out.
    """
    import pandas as pd

    shares: dict[str, list[float]] = {}
    asked = [found for found in worth.values() if sum(found.values()) > 0]
    for found in asked:
        whole = sum(found.values())
        for column, value in found.items():
            shares.setdefault(column, []).append(value / whole)
    rows = [
        (column, sum(each) / len(asked), min(each) if len(each) == len(asked) else 0.0, max(each))
        for column, each in shares.items()
    ]
    found_table = pd.DataFrame(rows, columns=["column", "share", "least", "most"])
    return found_table.sort_values(["share", "column"], ascending=[False, True], ignore_index=True)
