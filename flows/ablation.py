"""`betti ablate RUN`: train a run with parts of its model taken away, on the same folds; a Prefect flow.

Every variant goes through the same stage functions as the run and is one more configuration that was tried on its
target, so that it goes into the ledger. The run itself is not trained again. What does not belong here: what may be
taken away (each model's `VARIANTS`), and comparing (`betti.ablation`).

No `annotations` import: Prefect resolves a flow's annotations where it is run.
"""

from betti import threads

threads.pin()

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betti import ablation, binding, catalog, io, params, trials
from betti.ablation import Ablation, Variant, VariantScore
from betti.errors import UnknownName
from betti.models import ModelRegistry
from flows import server, tracked
from flows.words import say

server.choose()

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

if TYPE_CHECKING:
    import pandas as pd

    from betti.metrics.significance import Bootstrap
    from betti.stages.evaluate import Evaluated
    from betti.stages.train import Trained

__all__ = ["Asked", "ablate", "attempt", "path", "prepared"]

PLAIN = {"cache_policy": NO_CACHE, "persist_result": False}


@flow(name="ablate", persist_result=False, validate_parameters=False)
def ablate(run: str) -> Ablation:
    """Train and judge every variant of a run, whose own evaluation must be up to date; the result is written too."""
    root, log = Path.cwd(), get_run_logger()
    asked = prepared(root, run)
    each = task(attempt, name="variant", **PLAIN)

    def tell(words: str) -> None:
        log.info(words)
        say(words)

    scores = []
    for number, variant in enumerate(asked.variants, start=1):
        tell(f"variant {number} of {len(asked.variants)}: {variant.name}")
        scores.append(each(asked, variant))
    found = _ablation(root, asked, scores)
    io.write_json(path(root, run), found)
    _show(found)
    return found


def path(root: Path, run: str) -> Path:
    """Where the result lies: beside the other reports, and no out of any stage."""
    return catalog.artifact("leaderboard").at(root).parent / "ablation" / f"{run}.json"


# What is taken away -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A run and its tables.

    Attributes:
        root: the workspace.
        run: the run's name.
        variants: what is trained beside it.
        tables: the feature set, labels and folds, as the stage `train` takes them.
        clean: bars.
        predictions: the run's own.
        draws: how intervals are drawn.
    """

    root: Path
    run: str
    variants: tuple[Variant, ...]
    tables: "tuple[pd.DataFrame, ...]"
    clean: "pd.DataFrame"
    predictions: "pd.DataFrame"
    draws: "Bootstrap"


def prepared(root: Path, run: str) -> Asked:
    """What an ablation of this run needs, read from the workspace.

    Raises:
        UnknownName: no such run.
        NothingToAblate: its model names nothing that may be taken away.
        MissingArtifact: its tables or its predictions are not there yet.
    """
    known = params.load(root)
    if run not in known.runs:
        raise UnknownName("run", run, known.runs)
    block = known.runs[run]
    binding.check(known, catalog.stage("train"), run, root)
    prototype = ModelRegistry.create(block.model, block.config)
    variants = ablation.variants(run, block.model, prototype, block.config, block.seed)
    items = (("feature_set", block.set), ("labels", block.target), ("folds", block.target))
    tables = tuple(binding.read(catalog.artifact(name), root, item) for name, item in items)
    clean = binding.read(catalog.artifact("clean"), root)
    own = binding.read(catalog.artifact("predictions"), root, run)
    knobs = known.evaluate
    draws = ablation.bootstrap(tables[1], clean, knobs.repetitions, knobs.confidence, knobs.seed)
    return Asked(root, run, variants, tables, clean, own, draws)


def attempt(asked: Asked, variant: Variant) -> VariantScore:
    """Train a variant on the run's folds, judge it on the same rows, and count it."""
    known = params.load(asked.root)
    learning, judging = (
        binding.knobs(known, catalog.stage(name), asked.run, asked.root) for name in ("train", "evaluate")
    )
    changed = {"config": dict(variant.config), "seed": variant.seed}
    trained: Trained = binding.function(catalog.stage("train"))(*asked.tables, **(learning | changed))
    evaluate = binding.function(catalog.stage("evaluate"))
    judged: Evaluated = evaluate(trained.models, *asked.tables, asked.clean, **judging)
    trials.add(asked.root, [_trial(asked, variant, trained, judged)])
    return ablation.compared(variant, asked.predictions, judged.predictions, asked.draws)


def _trial(asked: Asked, variant: Variant, trained: "Trained", judged: "Evaluated") -> trials.Trial:
    """What the ledger keeps of a variant, under a name that says what was taken away."""
    told, metrics = trained.models.manifest, judged.metrics
    losses = [fit.val_loss for name, fit in told.fits.items() if name != "final" and fit.val_loss is not None]
    return trials.Trial(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        origin="run",
        run=f"{asked.run}, {variant.name}",
        target=told.target,
        model=told.model,
        set=told.set,
        seed=told.seed,
        prune=told.prune,
        config={name: value for name, value in told.config.items() if name != "seed"},
        data=_data(asked.root, told.set, told.target),
        valid_loss=sum(losses) / len(losses) if losses else None,
        folds={
            name: trials.FoldScore(rows=one.rows, accuracy=one.accuracy, log_loss=one.log_loss, macro_f1=one.macro_f1)
            for name, one in metrics.folds.items()
        },
        sharpe_per_bar=metrics.trading.sharpe / math.sqrt(metrics.trading.bars_per_year),
    )


def _data(root: Path, feature_set: str, target: str) -> trials.Data:
    """The hashes of the run's tables, from dvc.lock."""
    made = tracked.outs(root)
    names = {"set": ("feature_set", feature_set), "labels": ("labels", target), "folds": ("folds", target)}
    return trials.Data(
        **{
            name: made.get(catalog.artifact(artifact).at(root, item).relative_to(root).as_posix(), "")
            for name, (artifact, item) in names.items()
        }
    )


# What came of it ----------------------------------------------------------------------------------------------------


def _ablation(root: Path, asked: Asked, scores: list[VariantScore]) -> Ablation:
    block = params.load(root).runs[asked.run]
    metrics = binding.read(catalog.artifact("metrics"), root, asked.run)
    return Ablation(
        run=asked.run,
        model=block.model,
        target=block.target,
        rows=len(asked.predictions),
        confidence=asked.draws.confidence,
        log_loss=metrics.pooled.log_loss,
        variants=scores,
    )


def _show(found: Ablation) -> None:
    rows: list[dict[str, Any]] = [{"variant": found.run, "log loss": found.log_loss}]
    rows += [
        {"variant": one.name, "log loss": one.log_loss, "minus the run's": one.loss.estimate, "low": one.loss.low,
         "high": one.loss.high}
        for one in found.variants
    ]  # fmt: skip
    key = f"ablation-{found.run}".replace("_", "-").lower()
    create_table_artifact(key=key, table=rows, description=f"what the parts of **{found.run}** are worth")
