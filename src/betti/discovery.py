"""A folder is a registry: every public module in a package is one registered part.

Names come from the file listing, so that listing costs nothing; a module is imported when it is used. A module that
cannot be imported is reported by name with its cause and never breaks the list. What does not belong here: what a
part must offer (that stands in the package whose folder it is).
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from betti.errors import PartUnavailable, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["Folder"]


@dataclass(frozen=True)
class Folder:
    """The parts in one package, e.g. `Folder("betti.sources", kind="source")`."""

    package: str
    kind: str
    helpers: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Every part's name, sorted; `helpers` and modules that start with an underscore are not parts."""
        path = importlib.import_module(self.package).__path__
        found = (module.name for module in pkgutil.iter_modules(path))
        return tuple(sorted(name for name in found if self._is_part(name)))

    def _is_part(self, name: str) -> bool:
        return not name.startswith("_") and name not in self.helpers

    def load(self, name: str) -> ModuleType:
        """Import one part.

        Raises:
            UnknownName: no file of that name.
            PartUnavailable: the file is there and does not import; the cause is kept.
        """
        whole = f"{self.package}.{name}"
        imported = whole in sys.modules and self._is_part(name)  # then the folder need not be listed
        if not imported and name not in self.names():
            raise UnknownName(self.kind, name, self.names())
        try:
            return importlib.import_module(whole)
        except Exception as cause:  # whatever a file does while it is imported, the list stays
            raise PartUnavailable(self.kind, name, cause) from cause

    def loaded(self) -> Iterator[tuple[str, ModuleType]]:
        """Every part that imports, by name."""
        for name in self.names():
            try:
                yield name, self.load(name)
            except PartUnavailable:
                continue

    def failures(self) -> dict[str, PartUnavailable]:
        """Every part that does not import, with its cause."""
        failed: dict[str, PartUnavailable] = {}
        for name in self.names():
            try:
                self.load(name)
            except PartUnavailable as error:
                failed[name] = error
        return failed
