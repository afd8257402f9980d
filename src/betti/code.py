"""Which source files a module's result depends on: its static import closure inside betti.

Part keys hash it, and a contract test holds the code deps in dvc.yaml to it. Imports inside functions count too.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import betti

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["INERT", "closure", "digest", "edited"]

# Modules that no result depends on: the wording of an error and the telling of progress retrain nothing. betti itself
# holds the version, and a release must not either.
INERT = frozenset({"betti", "betti.errors", "betti.progress"})


def _facts(file: Path) -> tuple[int, int] | None:
    """Size and time of change, or nothing where there is no such file any more."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _files() -> dict[Path, tuple[int, int]]:
    """Every source file of the package, with its size and time of change."""
    found = {}
    for folder in betti.__path__:
        for file in Path(folder).rglob("*.py"):
            facts = _facts(file)
            if facts is not None:
                found[file] = facts
    return found


_AT_START = _files()


def edited(*modules: str) -> bool:
    """Whether code changed on disk since this process began, so that what is imported may be another text.

    Args:
        *modules: look at their closure alone; without any, at the whole package.
    """
    if modules:
        return any(_facts(file) != _AT_START.get(file) for file in closure(*modules).values())
    return _files() != _AT_START


@cache
def _origin(module: str) -> Path | None:
    """A betti module's file, found without importing anything: `importlib.util.find_spec` would import its parents."""
    first, *rest = module.split(".")
    if first != "betti":
        return None
    for folder in betti.__path__:
        base = Path(folder, *rest)
        for file in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if file.is_file():
                return file
    return None


@cache
def _imports(module: str) -> frozenset[str]:
    """The betti modules that one module imports, anywhere in its text but for the type checker alone."""
    origin = _origin(module)
    if origin is None:
        return frozenset()
    found: set[str] = set()
    for node in _run(ast.parse(origin.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found.update(name for name in names if _origin(name))
    return frozenset(found)


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under `if TYPE_CHECKING`, which are never run."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


@cache
def closure(*modules: str) -> dict[str, Path]:
    """Every betti module that these modules import, directly or not, themselves included: name -> file.

    A package counts where one of its modules is imported, since Python runs its `__init__` first; `INERT` ones do not.
    """
    seen: dict[str, Path] = {}
    todo = list(modules)
    while todo:
        module = todo.pop()
        origin = _origin(module)
        if origin is None or module in seen or module in INERT:
            continue
        seen[module] = origin
        todo.extend(_imports(module))
        if module.count(".") > 1:
            todo.append(module.rpartition(".")[0])
    return dict(sorted(seen.items()))


@cache
def digest(*modules: str) -> str:
    """A hash over the closure's module names and file contents."""
    whole = hashlib.blake2b(digest_size=20)
    for name, path in closure(*modules).items():
        whole.update(f"{name}\0".encode())
        whole.update(hashlib.blake2b(path.read_bytes()).digest())
    return whole.hexdigest()
