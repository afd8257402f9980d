"""What balancing the expansion network's losses comes to: their shares after warm-up, and what is found, by balancer.

`python benchmarks/expansion.py` trains `jade` at its defaults on 1,500 windows of noise with expansions put in, and
judges it on 1,000 others, the windows with a start in them; one line says each score of each balancer, the worst of its
seeds. Shares are those of the epochs after `WARM_UP`. One thread; a training takes 2 to 6 minutes. `--balancers`,
`--seeds` and `--epochs` choose others.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from betti import threads

threads.pin()

import numpy as np
import pandas as pd
import torch

from benchmarks._figure import Figure, single
from betti.labelling.expansion import sequences
from betti.metrics.span import span_report
from betti.metrics.span_scores import span_answers
from betti.models._protocol import Answers
from betti.models.jade import Jade
from betti.networks.balancing import BALANCERS, INITIAL_EPOCHS, LOSSES
from tests.unit.networks.planted import planted

TRAIN, TEST, LENGTH = 1500, 1000, 105
EPOCHS = 30
WARM_UP = INITIAL_EPOCHS  # as long as that of the balancer with the longest
HELD_OUT = 1000  # added to a seed: the seed of the windows it is judged on
SECONDS = "seconds"
# What is wanted of each number: the smallest or the largest that will do.
LEAST = {"starts within 3 bars": 0.6, "type macro F1": 0.5, "recall of the type found least": 0.3}
MOST = {"countdown off, bars": 5.0, "centre off, parts of the window": 0.02}
LEAST_SHARE = {"pointers' smallest share": 0.6, "smallest share of any loss": 0.02}
MOST_SHARE = {"pointers' largest share": 0.8, "type's largest share": 0.2}


def scored(balancer: str, seed: int, epochs: int) -> dict[str, float]:
    """Every number of one training."""
    made, held = planted(TRAIN, seed=seed), planted(TEST, seed=seed + HELD_OUT)
    # No validation rows: every epoch is trained, and the last one's network is judged.
    model = Jade({"balancer": balancer, "epochs": epochs, "seed": seed, "device": "cpu"})
    answers = Answers(made.classes, {name: made.labels[name] for name in model.heads})
    metrics = model.fit(made.windows, answers, None, None)
    history = metrics.history
    said = span_answers("jade", model.predict(held.windows).outputs, np.arange(TEST))
    found = span_report(sequences(pd.DataFrame(held.labels), LENGTH), said).detection
    scores = (found.hits, found.type_macro_f1, min(found.type_recall), found.countdown_mae, found.centre_mae)
    shares = np.array([history[f"share_{name}"][WARM_UP:] for name in LOSSES])
    bounds = (shares[0].min(), shares.min(), shares[0].max(), shares[1].max())
    numbers = zip((*LEAST, *MOST, *LEAST_SHARE, *MOST_SHARE), (*scores, *bounds), strict=True)
    return {SECONDS: metrics.training_time_seconds, **{name: float(value) for name, value in numbers}}


def show(balancer: str, runs: list[dict[str, float]]) -> None:
    """A line for each number: the worst of the runs, one a seed."""
    case = f"{balancer}, {len(runs)} seed{'s' if len(runs) > 1 else ''}"
    rules: tuple[tuple[dict[str, float], Callable[..., float], str], ...] = (
        ({**LEAST, **LEAST_SHARE}, min, ">"),
        ({**MOST, **MOST_SHARE}, max, "<"),
    )
    for wanted, worst, sign in rules:
        for name, bound in wanted.items():
            value = worst(run[name] for run in runs)
            met = value > bound if sign == ">" else value < bound
            Figure("expansion", f"{case}: {name}", round(value, 4), None, "", None, f"{sign} {bound:g}", met).show()
    single("expansion", f"{case}: training", [run[SECONDS] for run in runs], "s", math.inf).show()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--balancers", nargs="+", default=list(BALANCERS), choices=list(BALANCERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args()
    if given.epochs <= WARM_UP:
        parser.error(f"--epochs must be more than the {WARM_UP} of the warm-up")
    torch.set_num_threads(1)
    for balancer in given.balancers:
        show(balancer, [scored(balancer, seed, given.epochs) for seed in given.seeds])


if __name__ == "__main__":
    main()
