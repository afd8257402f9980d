"""Boosters through our models beside their libraries called directly, and how soon a stored model answers.

`python benchmarks/boosting.py`. Beside means the same parameters, rows, threads and watched sets; ours also checks the
inputs, makes the stored bytes and reads them again, and scores what came of it. One thread each, in seconds of the
processor, which what else runs here does not touch. Then every model of single rows, fitted with its defaults: load it
from its folder and answer for one row, in a process where its library has been imported.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from betti import threads

threads.pin()

import catboost
import lightgbm
import numpy as np
import xgboost

from benchmarks._figure import against, in_turn, single
from betti.models import FOLDER, ModelRegistry

ROWS, VALID, FEATURES, ROUNDS = 20_000, 4_000, 80, 60
PAIRS, MOST = 9, 1.05
STORED_ROWS, ANSWERS, MOST_MS = 3_000, 9, 50.0

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def rows(count: int, valid: int) -> Arrays:
    """Three classes that follow faintly from one of many columns: training rows, then validation rows."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((count + valid, FEATURES), dtype="float32")
    y = np.digitize(X[:, 0] + 2 * rng.normal(size=len(X)), [-1, 1])
    return X[:count], y[:count], X[count:], y[count:]


def processor(work: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def with_xgboost(knobs: dict[str, Any], data: Arrays) -> None:
    names = ("learning_rate", "max_depth", "min_child_weight", "subsample", "colsample_bytree", "gamma", "alpha")
    parameters = {
        **{name: knobs[name] for name in (*names, "lambda", "seed")},
        "objective": "multi:softprob", "num_class": 3, "eval_metric": "mlogloss", "nthread": 1, "tree_method": "hist",
    }  # fmt: skip
    train = xgboost.DMatrix(data[0], data[1], nthread=1)
    watched = [(train, "train"), (xgboost.DMatrix(data[2], data[3], nthread=1), "valid")]
    xgboost.train(parameters, train, ROUNDS, evals=watched, early_stopping_rounds=ROUNDS, verbose_eval=False)


def with_lightgbm(knobs: dict[str, Any], data: Arrays) -> None:
    ours = {"rounds", "early_stopping_rounds", "classes", "class_weight"}
    parameters = {
        **{name: value for name, value in knobs.items() if name not in ours},
        "objective": "multiclass", "num_class": 3, "deterministic": True, "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    train = lightgbm.Dataset(data[0], data[1], params=parameters)
    valid = train.create_valid(data[2], data[3], params=parameters)
    stopping = lightgbm.early_stopping(ROUNDS, verbose=False)
    lightgbm.train(parameters, train, ROUNDS, valid_sets=[train, valid], callbacks=[stopping])


def with_catboost(knobs: dict[str, Any], data: Arrays) -> None:
    names = ("learning_rate", "depth", "l2_leaf_reg", "random_strength", "bagging_temperature")
    booster = catboost.CatBoost(
        {
            **{name: knobs[name] for name in names},
            "iterations": ROUNDS, "loss_function": "MultiClass", "classes_count": 3, "bootstrap_type": "Bayesian",
            "od_type": "Iter", "od_wait": ROUNDS, "use_best_model": True, "thread_count": 1, "random_seed": 7,
            "allow_writing_files": False, "logging_level": "Silent",
        }
    )  # fmt: skip
    booster.fit(catboost.Pool(data[0], data[1]), eval_set=catboost.Pool(data[2], data[3]))


DIRECTLY: dict[str, Callable[[dict[str, Any], Arrays], None]] = {
    "xgboost": with_xgboost,
    "lightgbm": with_lightgbm,
    "catboost": with_catboost,
}


def fits() -> None:
    data = rows(ROWS, VALID)
    for name, directly in DIRECTLY.items():
        # Nobody stops early, so that both sides grow the same trees.
        config = {"rounds": ROUNDS, "early_stopping_rounds": ROUNDS}
        knobs = ModelRegistry.create(name, config).config

        def ours(name: str = name, config: dict[str, Any] = config) -> float:
            return processor(lambda: ModelRegistry.create(name, config).fit(*data))

        def reference(directly: Any = directly, knobs: dict[str, Any] = knobs) -> float:
            return processor(lambda: directly(knobs, data))

        ours(), reference()  # imports and caches
        case = f"{name}: fit {ROWS} x {FEATURES}, {ROUNDS} rounds, beside the library"
        against("boosting", case, in_turn(ours, reference, PAIRS), MOST).show()


def answers() -> None:
    X, y, _, _ = rows(STORED_ROWS, 1)
    for name in FOLDER.names():
        info = ModelRegistry.get_model_info(name)
        if info.requires_sequences or info.inputs:
            continue
        model = ModelRegistry.create(name)
        model.fit(X, y, None, None)
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder))

            def once(name: str = name, folder: str = folder) -> float:
                return 1e3 * processor(lambda: _answer(name, Path(folder)))

            once()
            case = f"{name}: load its defaults' model, answer for one row, warm"
            single("boosting", case, [once() for _ in range(ANSWERS)], "ms", MOST_MS).show()


def _answer(name: str, folder: Path) -> None:
    model = ModelRegistry.create(name)
    model.load(folder)
    model.predict(np.zeros((1, FEATURES), dtype="float32"))


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    fits()
    answers()


if __name__ == "__main__":
    main()
