"""Whether a feature family reads the future, and whether it remembers more bars than it declares.

**Look-ahead.** A row may depend on bars up to its own alone, and on what was released before its close. Five things
show where that is broken:

1. Every row is computed again from the history that the family declares, with nothing after it. A value that is the
   same to the last bit could be computed when its bar closed. Where it is not, the bars are cut off after that row with
   all that came before it: what changes then reads later bars, what does not has a longer memory. On these bars that is
   a proof, for every row and column.
2. At every row the bars after it go the opposite way: prices fall where they rose. A value that says only whether the
   next bar rises may be silent when bars end, and is not here.
3. What follows a bar t is exchanged for other futures, with all bars before it there: other levels, one wild bar, a
   standstill, a gap in time. A leak that acts only on some futures may be silent on the one that came. This is
   evidence: no list of futures is complete, and where there are many bars, some are tried.
4. What surrounds the market is taken away from each release on, and exchanged. Bars that had closed must not change.
   Taken away from all of them on, that is a proof for these releases. A family that takes a context and is given none
   gets one that is made up.
5. The same bars are moved by whole cycles of the calendar (28 or 400 years), with what surrounds them. A value that was
   looked up by time in a table from elsewhere changes; what is computed from the bars, or from hour, weekday and date,
   does not. Cutting bars off cannot show such a leak, since the table is not among them. Only bars that the table
   covers can show it.

A value that differs between two runs over the same bars is reported too: it is random, or remembers earlier calls.
Not seen is what is looked up elsewhere by anything but time. By row number, the first check sees it.

**Memory.** A row may depend on `lookback` bars before it. The last value of a slice with exactly that history is
compared with those of longer ones. A value that moves needs more.

Values are compared as the pipeline writes them: float32, NaN in the warm-up. What does not belong here: how bars and
surroundings are changed (`betti.probes`, `betti.releases`), files, the terminal, and leaks between folds
(`betti.training.leaks`).
"""

from __future__ import annotations

from betti.causality._computing import WORK, ProbeFailed, TooFewBars
from betti.causality._future import Kind, Leak, Lookahead, lookahead
from betti.causality._memory import HISTORIES, TOLERANCE, Drift, Memory, memory

__all__ = [
    "HISTORIES",
    "TOLERANCE",
    "WORK",
    "Drift",
    "Kind",
    "Leak",
    "Lookahead",
    "Memory",
    "ProbeFailed",
    "TooFewBars",
    "lookahead",
    "memory",
]
