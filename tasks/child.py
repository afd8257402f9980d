"""`python -m tasks.child STAGE [ITEM]`: `python -m betti`, tied to the process that started it.

The parent holds the other end of standard input and never writes. When the parent dies, even by kill -9, the pipe
closes and this process ends: no orphan goes on writing into data/.
"""

from __future__ import annotations

from betti import threads

threads.pin()

import ctypes
import logging
import os
import signal
import sys
import threading

from betti.__main__ import main


def _end_with_parent() -> None:
    # The descriptor itself: a thread inside a buffered read would hold its lock when the interpreter shuts down.
    while os.read(0, 1):
        pass
    os._exit(3)


def _die_with_parent() -> None:
    """Ask Linux for a kill at the parent's death: the watching thread cannot act inside long native code."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _log_with_levels() -> None:
    """Notices too, and each line with its level: the parent keeps them all, and tells warnings from notices."""
    logging.basicConfig(format="%(levelname)s %(message)s")
    logging.getLogger("betti").setLevel(logging.INFO)


if __name__ == "__main__":
    _log_with_levels()
    _die_with_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
