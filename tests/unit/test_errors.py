"""An error says what was found, where, and what to do."""

from __future__ import annotations

import inspect

import pytest

from betti import errors

MESSAGES = [
    (errors.UnknownName("model", "lstn", ["lstm", "gru"]), ["'lstn'", "did you mean 'lstm'", "gru, lstm"]),
    (errors.UnknownName("model", "zzz", ["lstm"]), ["'zzz'", "Available: lstm"]),
    (errors.UnknownName("model", "zzz", []), ["Available: nothing"]),
    (errors.UnknownName("column", "x", [f"c{i:03}" for i in range(60)]), ["c000", "c039 and 20 more"]),
    (errors.BadParam("split.folds", 0, "too few"), ["params.yaml: split.folds = 0: too few"]),
    (errors.BadParam("until", 1, "a time", "asof.yaml"), ["asof.yaml: until = 1"]),
    (errors.MissingFile("/a/b.csv", "Look again"), ["/a/b.csv", "Look again"]),
    (errors.UnreadableFile("/a/b.csv", "is a picture", "Export it"), ["/a/b.csv: is a picture. Export it"]),
    (errors.BadBars("/a/b.csv", "no rows", "Export it"), ["/a/b.csv: no rows. Export it"]),
    (
        errors.TooManyQuarantined("BTC", 3, 100, 0.01, "infinite 3", "2020-01-01"),
        ["BTC: 3 of 100", "3.00% > 1.00%", "infinite 3", "2020-01-01", "validate.max_quarantined_share"],
    ),
    (errors.MissingArtifact("clean", "data/2_clean", "validate"), ["data/2_clean", "betti run --stages validate"]),
    (errors.BrokenArtifact("data/x.parquet", "is cut off"), ["data/x.parquet: is cut off", "betti run"]),
    (errors.PartUnavailable("model", "x", ImportError("no y")), ["model 'x'", "ImportError: no y"]),
    (errors.BadModelInput("lstm", "two rows", "Give more"), ["model 'lstm': two rows. Give more"]),
    (errors.LeakError(2, 7, "2020-01-01"), ["fold 2: 7 training rows", "2020-01-01", "betti run --stages split"]),
]


@pytest.mark.parametrize(("error", "parts"), MESSAGES, ids=[type(error).__name__ for error, _ in MESSAGES])
def test_the_sentence_names_the_facts_and_the_remedy(error, parts):
    assert isinstance(error, errors.BettiError)
    for part in parts:
        assert part in str(error)


def test_every_error_is_covered_here():
    defined = {
        name
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.BettiError) and kind.__module__ == errors.__name__
    }
    abstract = {"BettiError", "BadInput"}
    assert defined - abstract == {type(error).__name__ for error, _ in MESSAGES}
    assert defined == set(errors.__all__)
