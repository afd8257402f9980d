"""Regimes by rule from twenty numbers of a bar, to learn from; and regimes of sessions that do not flicker.

The twenty numbers are the feature set `regime`: two-scale and bipower volatility, Amihud's illiquidity, four states of
trading rules, ten volume deciles, three spreads. What does not belong here: computing them
(`betti.features.microstructure`), and the classifier (`regime.py`).

A market is held against its own past. What counts as volatile in one is calm in another, so a rule over levels would
tell instruments apart and not regimes. `against_own_past` takes the levels away, and `RegimeRule` reads what is left:

| regime | rule, the first that holds |
|---|---|
| luld_active | the bar is at a price limit |
| ssr_active | short sales are restricted |
| illiquid | price impact or a spread far above its own past: its share of bars in training is `ILLIQUID` |
| high_vol, low_vol | two-scale volatility above or below its own past: `OUTER` of bars each |
| trending, mean_reverting | two-scale over bipower volatility above or below its own past: `OUTER` of bars each |
| normal | none of these |

Two-scale volatility is that of changes over several bars, bipower that of changes over one. Their ratio is large where
changes go on and small where they turn back: the idea of the variance ratio (Lo and MacKinlay 1988). What is usual for
that ratio differs among markets as volatility does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from betti.errors import BadModelInput
from betti.networks.conditioning.regime import REGIMES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = [
    "INPUTS",
    "RegimeRule",
    "against_own_past",
    "instrument_information",
    "session_regimes",
    "sessions_against_own_past",
    "switching_share",
]

INPUTS = 20
TWO_SCALE, BIPOWER, AMIHUD = 0, 1, 2
RESTRICTED, AT_LIMIT, BOTH = 4, 5, 6
STATES, DECILES, SPREADS = slice(3, 7), slice(7, 17), slice(17, 20)
ILLIQUID, OUTER = 0.05, 0.2
# Logarithms are cut here: a market that stood still has a volatility of nothing.
FURTHEST, SMALLEST = 5.0, 1e-12


def against_own_past(windows: Tensor) -> Tensor:
    """The last row of each window, told relative to the window's rows; needs no fitting and knows no other market.

    Args:
        windows: (B, rows, 20) raw numbers of the feature set `regime`, each window of one instrument.

    Returns:
        (B, 20). Log volatilities and log illiquidity less their means, so that the difference of the volatilities is
        the log of their ratio less what is usual for it; states as they are; deciles as a share of an even profile,
        less 1; spreads less their mean, in mean two-scale volatilities.
    """
    last = windows[:, -1]
    logs = windows[:, :, [TWO_SCALE, BIPOWER, AMIHUD]].clamp(min=SMALLEST).log()
    volatility = windows[:, :, TWO_SCALE].clamp(min=SMALLEST).mean(dim=1, keepdim=True)
    spreads = (last[:, SPREADS] - windows[:, :, SPREADS].mean(dim=1)) / volatility
    relative = torch.cat(
        [
            logs[:, -1] - logs.mean(dim=1),
            last[:, STATES],
            last[:, DECILES] * 10 - 1,
            spreads,
        ],
        dim=1,
    )
    return relative.clamp(-FURTHEST, FURTHEST)


@dataclass(frozen=True)
class RegimeRule:
    """Thresholds that were found on training rows.

    Attributes:
        calm: relative log volatility below which it is low.
        wild: above which it is high.
        turning: relative log ratio of two-scale to bipower volatility below which changes turn back.
        going: above which they go on.
        impact: relative log illiquidity above which a market is illiquid.
        spread: the same for the mean of the relative spreads.
    """

    calm: float
    wild: float
    turning: float
    going: float
    impact: float
    spread: float

    @classmethod
    def fitted(cls, features: NDArray[Any]) -> RegimeRule:
        """Thresholds at quantiles of (n, 20) training rows, as `against_own_past` gives them.

        Raises:
            BadModelInput: another width, no rows, or numbers that are not finite.
        """
        read = _Read.of(features)
        inner = [OUTER, 1 - OUTER]
        calm, wild = np.quantile(read.volatility, inner)
        turning, going = np.quantile(read.ratio, inner)
        # Two ways to be illiquid: each takes half of the share.
        impact, spread = (float(np.quantile(part, 1 - ILLIQUID / 2)) for part in (read.impact, read.spread))
        return cls(float(calm), float(wild), float(turning), float(going), impact, spread)

    def regimes(self, features: NDArray[Any]) -> Integers:
        """(n,) numbers of the regimes in `REGIMES`, from (n, 20) as `fitted` takes them.

        >>> rule = RegimeRule(calm=-0.5, wild=0.5, turning=-0.3, going=0.3, impact=2.0, spread=2.0)
        >>> rows = np.zeros((4, 20))
        >>> rows[1, :2], rows[2, 5], rows[3, 1] = 1.0, 1.0, -0.4
        >>> [REGIMES[number] for number in rule.regimes(rows)]
        ['normal', 'high_vol', 'luld_active', 'trending']
        """
        read = _Read.of(features)
        rules = {
            "luld_active": read.at_limit,
            "ssr_active": read.restricted,
            "illiquid": (read.impact > self.impact) | (read.spread > self.spread),
            "high_vol": read.volatility > self.wild,
            "low_vol": read.volatility < self.calm,
            "trending": read.ratio > self.going,
            "mean_reverting": read.ratio < self.turning,
        }
        numbers = [REGIMES.index(name) for name in rules]
        return np.select(list(rules.values()), numbers, REGIMES.index("normal")).astype("int64")


@dataclass(frozen=True)
class _Read:
    """What the rule reads of each row, (n,) each."""

    volatility: Floats
    ratio: Floats
    impact: Floats
    spread: Floats
    restricted: NDArray[np.bool_]
    at_limit: NDArray[np.bool_]

    @classmethod
    def of(cls, features: NDArray[Any]) -> _Read:
        if features.ndim != 2 or features.shape[1] != INPUTS or not len(features):
            raise BadModelInput(
                "RegimeRule", f"features of {features.shape}", f"It takes (n, {INPUTS}), one row or more"
            )
        rows = features.astype("float64")
        if not np.isfinite(rows).all():
            raise BadModelInput("RegimeRule", "features that are not finite", "Leave such rows out")
        return cls(
            rows[:, TWO_SCALE],
            rows[:, TWO_SCALE] - rows[:, BIPOWER],
            rows[:, AMIHUD],
            rows[:, SPREADS].mean(axis=1),
            rows[:, RESTRICTED] > 0.5,
            rows[:, [AT_LIMIT, BOTH]].max(axis=1) > 0.5,
        )


# Sessions -----------------------------------------------------------------------------------------------------------


def sessions_against_own_past(rows: NDArray[Any], sessions: NDArray[Any], *, past: int = 60) -> NDArray[np.float32]:
    """Each session of one instrument in twenty numbers, told relative to the sessions before it.

    Bars shorter than a session are told against a past of hours, in which the time of day is most of what changes.
    Here a session is the mean of its rows, and is told against sessions as `against_own_past` tells bars against bars.

    Args:
        rows: (n, 20) raw numbers of the feature set `regime`, in time order.
        sessions: (n,) which session each row belongs to; rows of one session adjacent.
        past: sessions that each is told against, itself among them.

    Returns:
        (sessions - past + 1, 20): the first has a full past. For `RegimeRule` and `RegimeClassifier`.

    Raises:
        BadModelInput: lengths that differ, a past below 2, or fewer sessions than it needs.
    """
    means = _session_means(rows, sessions, "sessions_against_own_past")
    if not 2 <= past <= len(means):
        remedy = f"It takes 2 to {len(means)}, the sessions that there are"
        raise BadModelInput("sessions_against_own_past", f"past = {past}", remedy)
    windows = torch.from_numpy(means.astype("float32")).unfold(0, past, 1).transpose(1, 2)
    relative: NDArray[np.float32] = against_own_past(windows).numpy()
    return relative


def session_regimes(
    probabilities: NDArray[Any],
    sessions: NDArray[Any],
    *,
    memory: float = 0.8,
    margin: float = 0.1,
    dwell: int = 21,
) -> Integers:
    """One regime for each session of one instrument, in order; what a session says is known at its end.

    The rows of a session are averaged, and sessions are smoothed exponentially. A regime stays until the smoothed
    probability of another exceeds its own by the margin: a Schmitt trigger, which noise around a threshold does not
    flip. And it stays for `dwell` sessions at least, so that at most one session in so many changes it in any market.

    Args:
        probabilities: (n, regimes) of each row, in time order.
        sessions: (n,) which session each row belongs to; rows of one session adjacent.
        memory: share of the smoothed probability that comes from earlier sessions; 0 for none.
        margin: by how much another regime must lead.
        dwell: the fewest sessions that a regime lasts; 1 lets it change at each.

    Raises:
        BadModelInput: lengths that differ, no rows, or a memory, margin or dwell out of its range.

    >>> steady = np.repeat([[0.6, 0.4], [0.45, 0.55], [0.6, 0.4], [0.0, 1.0]], 2, axis=0)
    >>> session_regimes(steady, np.repeat(["Mo", "Tu", "We", "Th"], 2), memory=0.5, margin=0.1, dwell=3).tolist()
    [0, 0, 0, 1]
    """
    if not (0 <= memory < 1 and 0 <= margin < 1 and dwell >= 1):
        found = f"memory = {memory}, margin = {margin}, dwell = {dwell}"
        raise BadModelInput("session_regimes", found, "The first two take 0 to below 1, a dwell 1 or more")
    means = _session_means(probabilities, sessions, "session_regimes")
    steady: Integers = np.empty(len(means), "int64")
    smoothed, regime, began = means[0], int(means[0].argmax()), 0
    for number in range(len(means)):
        smoothed = memory * smoothed + (1 - memory) * means[number]
        leader = int(smoothed.argmax())
        if number - began >= dwell and smoothed[leader] > smoothed[regime] + margin:
            regime, began = leader, number
        steady[number] = regime
    return steady


def _session_means(rows: NDArray[Any], sessions: NDArray[Any], name: str) -> Floats:
    """(sessions, columns): the mean of each session's rows."""
    if len(rows) != len(sessions) or not len(sessions):
        found = f"{len(rows)} rows in {len(sessions)} sessions' rows"
        raise BadModelInput(name, found, "Give one session for each row")
    first = np.flatnonzero(np.r_[True, sessions[1:] != sessions[:-1]])
    counts = np.diff(np.r_[first, len(sessions)])
    means: Floats = np.add.reduceat(rows.astype("float64"), first, axis=0) / counts[:, None]
    return means


def switching_share(regimes: Integers) -> float:
    """Share of sessions whose regime differs from that of the session before; 0 for a single one.

    >>> switching_share(np.array([0, 0, 1, 1, 1]))
    0.25
    """
    return float(np.mean(regimes[1:] != regimes[:-1])) if len(regimes) > 1 else 0.0


def instrument_information(regimes: Integers, instruments: NDArray[Any]) -> float:
    """Mutual information of regime and instrument in bits; what regimes give away of which market it is.

    The plug-in estimate less Miller's (1955) bias, and not below 0: independent labels would else tell a little. That
    bias is one of independent rows. Regimes that stay are fewer draws than they have rows: a history in which each
    instrument has a handful of them reads high by chance. So judge regimes as they are told, not as they were steadied.

    >>> instrument_information(np.array([0, 1] * 50), np.array(["A", "B"] * 50)) > 0.9
    True
    """
    from sklearn.metrics import mutual_info_score

    kinds, places = len(np.unique(regimes)), len(np.unique(instruments))
    bias = (kinds - 1) * (places - 1) / (2 * len(regimes))
    return float(max(mutual_info_score(regimes, instruments) - bias, 0.0) / np.log(2))
