"""`python -m tasks.child STAGE [ITEM]`: `python -m betti`, tied to the process that started it.

The parent holds the other end of standard input and never writes. When the parent dies, even by kill -9, the pipe
closes and this process ends: no orphan goes on writing into data/.
"""

from __future__ import annotations

from betti import threads

threads.pin()

import os
import sys
import threading

from betti.__main__ import main


def _end_with_parent() -> None:
    # The descriptor itself: a thread inside a buffered read would hold its lock when the interpreter shuts down.
    while os.read(0, 1):
        pass
    os._exit(3)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
