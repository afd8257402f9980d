"""The picture of importance: the largest shares, whiskers from the least to the most."""

from __future__ import annotations

import numpy as np
import pandas as pd

from betti.charts.importance import SHOWN, bars, caption


def table(rows: int) -> pd.DataFrame:
    share = np.linspace(0.4, 0.01, rows)
    return pd.DataFrame(
        {"column": [f"c{n}" for n in range(rows)], "share": share, "least": share / 2, "most": share * 1.5}
    )


def test_the_largest_stand_on_top():
    (trace,) = bars(table(50)).data
    assert len(trace.y) == SHOWN
    assert trace.y[-1] == "c0"
    assert trace.x[-1] == np.float32(0.4)


def test_whiskers_reach_from_the_least_to_the_most():
    (trace,) = bars(table(3)).data
    np.testing.assert_allclose(trace.x + trace.error_x.array, table(3)["most"][::-1], rtol=1e-5)
    np.testing.assert_allclose(trace.x - trace.error_x.arrayminus, table(3)["least"][::-1], rtol=1e-5)


def test_the_caption_says_what_was_measured():
    assert f"{SHOWN} of 50 columns" in caption(table(50).assign(column=[f"f__{n}" for n in range(50)]))
    groups = pd.DataFrame({"column": ["context:news", "stock"], "share": [0.9, 0.1], "least": 0.1, "most": 0.9})
    assert "columns, those" not in caption(groups)
    (trace,) = bars(groups).data
    assert list(trace.y) == ["stock", "context:news"]
