"""The import closure: what a module's result depends on, and a hash that moves when any of it does."""

from __future__ import annotations

import importlib

import pytest

import betti
from betti import code

FILES = {
    "zz_part": "from betti import zz_helper\n\ndef compute():\n    from betti.zz_late import late\n    return late()\n",
    "zz_helper": "from __future__ import annotations\nfrom betti.zz_deep import DEEP\n",
    "zz_deep": "import numpy\nDEEP = 1\n",
    "zz_late": "import betti.zz_plain\n\ndef late():\n    return 1\n",
    "zz_plain": "X = 1\n",
    "zz_alone": "# betti.zz_deep is only spoken of here\n",
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Modules inside the package `betti`, from a folder of their own."""
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(betti, "__path__", [*betti.__path__, str(tmp_path)])
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """As a new process would see the files."""
    importlib.invalidate_caches()
    for cached in (code._origin, code._imports, code.closure, code.digest):
        cached.cache_clear()


def test_the_closure_follows_imports_at_the_top_inside_functions_and_through_helpers(modules):
    names = {"betti.zz_part", "betti.zz_helper", "betti.zz_deep", "betti.zz_late", "betti.zz_plain"}
    assert set(code.closure("betti.zz_part")) == names
    assert set(code.closure("betti.zz_alone")) == {"betti.zz_alone"}


def test_the_closure_names_files_that_exist(modules):
    assert code.closure("betti.zz_part")["betti.zz_deep"] == modules / "zz_deep.py"
    assert all(path.is_file() for path in code.closure("betti.stages.features", "betti.features.technical").values())


def test_a_package_counts_where_one_of_its_modules_is_imported():
    closure = code.closure("betti.labelling.direction")
    assert {"betti.labelling", "betti.labelling._spans", "betti.discovery"} <= set(closure)
    assert not code.INERT & set(closure), "a release, or the wording of an error, must not retrain everything"


def test_items_of_one_stage_do_not_depend_on_each_other():
    assert "betti.labelling.trigger" not in code.closure("betti.stages.labels", "betti.labelling.direction")
    assert "betti.features.topology" not in code.closure("betti.stages.features", "betti.features.technical")


@pytest.mark.parametrize("edited", ["zz_part", "zz_helper", "zz_deep", "zz_late", "zz_plain"])
def test_an_edit_anywhere_in_the_closure_changes_the_digest(modules, edited):
    before = code.digest("betti.zz_part")
    alone = code.digest("betti.zz_alone")
    file = modules / f"{edited}.py"
    file.write_text(file.read_text() + "# edited\n")
    forget()
    assert code.digest("betti.zz_part") != before
    assert code.digest("betti.zz_alone") == alone


def test_an_edit_outside_the_closure_does_not(modules):
    before = code.digest("betti.zz_part")
    (modules / "zz_alone.py").write_text("X = 2\n")
    forget()
    assert code.digest("betti.zz_part") == before


def test_the_digest_does_not_depend_on_the_order_of_modules():
    assert code.digest("betti.io", "betti.parts") == code.digest("betti.parts", "betti.io")
