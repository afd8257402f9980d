"""The Python blocks of the documentation's pages as modules, word for word: what readers copy is tested."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).resolve().parents[1] / "docs"


@cache
def module(page: str, name: str, number: int = 0) -> ModuleType:
    """One Python block of a page, run as a module called `documented_NAME`; once, so that it registers once."""
    block = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)[number]
    found = ModuleType(f"documented_{name}")
    found.__file__ = str(DOCS / page)
    sys.modules[found.__name__] = found  # annotations are looked up there
    exec(compile(block, f"{page}, Python block {number}", "exec"), found.__dict__)
    return found
