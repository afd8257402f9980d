"""The shape of the tree: parts stand alone, data paths stand in one file, disk is touched in one file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from betti import code, features, labelling, models, sources, splits, tracking
from betti.topology import descriptors
from tests.conftest import REPOSITORY

FOLDERS = [
    features.FOLDER,
    labelling.FOLDER,
    models.FOLDER,
    sources.FOLDER,
    splits.FOLDER,
    descriptors.FOLDER,
    tracking.FOLDER,
]
CORE = sorted((REPOSITORY / "src" / "betti").rglob("*.py"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.kind)
def test_every_registered_file_imports_here(folder):
    assert folder.names()
    assert folder.failures() == {}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.kind)
def test_parts_of_one_folder_do_not_import_each_other(folder):
    for name in folder.names():
        others = {f"{folder.package}.{other}" for other in folder.names() if other != name}
        assert not others & set(code.closure(f"{folder.package}.{name}")), name


def test_a_data_path_is_written_in_the_catalog_alone():
    """Docstrings may speak of data/; strings that code uses may not."""
    for file in CORE:
        if file.name == "catalog.py":
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        docs = {
            node.body[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None
        }
        strings = {n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)} - docs
        assert not [n.value for n in strings if re.search(r"data/\d_", n.value)], file


@pytest.mark.parametrize("word", ["pickle", "joblib.load", "torch.load"])
def test_nothing_loads_code_from_data(word):
    for file in CORE:
        lines = file.read_text(encoding="utf-8").splitlines()
        assert not [line for line in lines if re.search(rf"^\s*(import|from) {word}|\b{re.escape(word)}\(", line)], file


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import betti", {"numpy", "pandas", "torch", "sklearn", "prefect", "dvc", "pydantic"}),
        ("import flows.cli", {"numpy", "pandas", "torch", "sklearn", "prefect", "dvc", "pydantic"}),
        ("import betti.binding", {"pandas", "torch", "sklearn", "prefect", "dvc", "pyarrow"}),
    ],
)
def test_light_imports_stay_light(statement, heavy):
    program = f"{statement}; import sys; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)


def test_python_files_stay_readable():
    sizes = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in CORE}
    assert {str(file): n for file, n in sizes.items() if n > 400} == {}
