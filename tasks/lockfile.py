"""dvc.lock as text, one fragment per stage: replacing one stage costs one stage, and happens in one rename.

DVC parses and rewrites the whole file in place, which costs half a second on thirty stages, and a kill in the middle
would leave half of it. What does not belong here: what a stage's entry says (DVC makes it).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LockText"]

HEAD = "schema: '2.0'\nstages:\n"
_STAGE = re.compile(r"^  (\S.*?):\n(?:   .*\n)*", re.MULTILINE)


class LockText:
    """The fragments of one dvc.lock, in the file's order.

    >>> text = LockText.parse("schema: '2.0'\\nstages:\\n  a:\\n    cmd: x\\n  b@c:\\n    cmd: y\\n")
    >>> list(text.fragments)
    ['a', 'b@c']
    >>> text.replace("a", "  a:\\n    cmd: z\\n", order=["a", "b@c"]); print(text.text(), end="")
    schema: '2.0'
    stages:
      a:
        cmd: z
      b@c:
        cmd: y
    """

    def __init__(self, head: str, fragments: dict[str, str], tail: str) -> None:
        self.head, self.fragments, self.tail = head, fragments, tail
        self._known = list(fragments)

    @classmethod
    def parse(cls, text: str) -> LockText:
        """Split the text of a dvc.lock; what stands before and after its stages is kept as it is."""
        before, marker, rest = text.partition("stages:\n")
        if not marker:
            return cls(HEAD, {}, "")
        fragments, end = {}, 0
        while found := _STAGE.match(rest, end):
            fragments[found[1]] = found[0]
            end = found.end()
        tail = rest[end:]
        if tail.startswith(" "):  # cut off inside a stage: that entry is no entry
            fragments = dict(list(fragments.items())[:-1])
            tail = ""
        return cls(before + marker, fragments, tail)

    @classmethod
    def read(cls, path: Path) -> LockText:
        """The file's fragments; none where there is no file."""
        return cls.parse(path.read_text(encoding="utf-8") if path.exists() else "")

    def replace(self, name: str, fragment: str, order: list[str]) -> None:
        """Put one stage's fragment in.

        Stages that the file had keep their places, and new ones follow in this order, whichever finishes first: so
        the file does not depend on how many stages ran side by side.
        """
        self.fragments[name] = fragment
        place = {stage: number for number, stage in enumerate(order)}
        fresh = sorted((n for n in self.fragments if n not in self._known), key=lambda n: place.get(n, len(place)))
        self.fragments = {n: self.fragments[n] for n in (*self._known, *fresh)}

    def text(self) -> str:
        """The whole file."""
        return self.head + "".join(self.fragments.values()) + self.tail

    def write(self, path: Path, scratch_folder: Path) -> None:
        """Replace the file in one step."""
        scratch = scratch_folder / f"{path.name}.{os.getpid()}"
        try:
            scratch.write_text(self.text(), encoding="utf-8")
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
