"""A run's page: the report's pictures and words about it, in one file that loads nothing."""

from __future__ import annotations

import base64
import gzip
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from betti.tracking._pictures import Judged, run_page
from tests.unit.charts import samples

RUN = "direction_5-logistic"
LEARNING = pd.DataFrame({"fold": [0, 0, -1], "epoch": [1, 2, 1], "train_loss": [1.0, 0.5, 0.7], "valid_loss": 0.625})
IMPORTANCE = pd.DataFrame({"column": ["made__signal"], "share": [1.0], "least": [0.9], "most": [1.0]})


def judged() -> Judged:
    rng = np.random.default_rng(1)
    rows = 60
    shares = rng.dirichlet([1, 1, 1], rows)
    predictions = pd.DataFrame(
        {"label": rng.integers(0, 3, rows), "prediction": shares.argmax(axis=1)}
        | {f"p_{k}": shares[:, k] for k in range(3)}
    )
    times = pd.date_range("2020-01-01", periods=rows, tz="UTC")
    equity = pd.DataFrame({"timestamp": times, "strategy": 1.0, "buy_and_hold": np.linspace(1, 2, rows)})
    return Judged(samples.metrics(RUN), predictions, equity)


def drawn(page: str) -> set[str]:
    return set(re.findall(r'<div id="([^"]+)" class="plot"', page))


def test_a_run_that_was_judged_has_its_scores_and_five_pictures() -> None:
    page = run_page(RUN, LEARNING, IMPORTANCE, judged(), 100)
    names = ("learning", "confusion", "reliability", "importance", "equity")
    assert {name.rpartition("-")[2] for name in drawn(page)} == set(names)
    assert "Scores per fold" in page and "made__signal" in page


def test_a_run_that_was_not_judged_has_what_training_left() -> None:
    page = run_page(RUN, LEARNING, IMPORTANCE, None, 100)
    assert drawn(page) == {"fig-learning", "fig-importance"} and "not evaluated yet" in page
    empty = run_page("<b>", LEARNING[:0], IMPORTANCE[:0], None, 100)
    assert not drawn(empty) and "&lt;b&gt; is trained" in empty and "<b>" not in empty


def test_the_page_is_whole_small_and_always_the_same() -> None:
    from plotly.offline import get_plotlyjs

    page = run_page(RUN, LEARNING, IMPORTANCE, judged(), 100)
    packed = re.search(r'id="library">([^<]+)</script>', page)
    assert packed is not None
    assert gzip.decompress(base64.b64decode(packed[1])).decode() == get_plotlyjs()
    assert len(page) < 2_500_000 and not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert page == run_page(RUN, LEARNING, IMPORTANCE, judged(), 100)


def test_a_browser_unpacks_the_library_and_draws(tmp_path: Path) -> None:
    browser = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("neither chromium nor google-chrome is here")
    file = tmp_path / "page.html"
    file.write_text(run_page(RUN, LEARNING, IMPORTANCE, None, 100), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    wait = ["--virtual-time-budget=10000", "--dump-dom", file.as_uri()]
    dom = subprocess.run([browser, *options, *wait], capture_output=True, text=True, timeout=120).stdout
    assert len(re.findall(r'class="main-svg"', dom)) >= 2
