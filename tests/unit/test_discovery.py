"""A folder is a registry: a file in it is listed, and one that cannot import is listed with its cause."""

from __future__ import annotations

import sys

import pytest

from betti.discovery import Folder
from betti.errors import PartUnavailable, UnknownName

BROKEN = {
    "missing_library": ("import no_such_library", ModuleNotFoundError),
    "broken_syntax": ("def (:", SyntaxError),
    "broken_name": ("COLUMNS = undefined", NameError),
    "broken_value": ("int('x')", ValueError),
    "missing_shared_object": ("import ctypes; ctypes.CDLL('libnowhere.so')", OSError),
    "broken_lookup": ("{}['key']", KeyError),
    "refuses_to_run": ("raise RuntimeError('no device')", RuntimeError),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A package of two good parts, a helper, and a file for every way not to import."""
    package = tmp_path / "zz_parts"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "_private": "",
        "helper": "",
        "alpha": "NAME = 'alpha'",
        "omega": "NAME = 'omega'",
        **{name: text for name, (text, _) in BROKEN.items()},
    }.items():
        (package / f"{name}.py").write_text(text)
    (package / "notes.txt").write_text("not a part")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Folder("zz_parts", kind="part", helpers=("helper",))
    for name in [name for name in sys.modules if name.startswith("zz_parts")]:
        del sys.modules[name]


def test_every_public_file_is_a_part_and_listing_imports_none(folder):
    assert folder.names() == tuple(sorted(["alpha", "omega", *BROKEN]))
    assert not any(name.startswith("zz_parts.") for name in sys.modules)


def test_a_file_that_cannot_import_is_listed_with_its_cause_and_the_rest_stays(folder):
    failures = folder.failures()
    assert {name: type(error.cause) for name, error in failures.items()} == {n: kind for n, (_, kind) in BROKEN.items()}
    assert [name for name, _ in folder.loaded()] == ["alpha", "omega"]


@pytest.mark.parametrize("name", BROKEN)
def test_loading_it_names_the_part_and_the_cause(folder, name):
    with pytest.raises(
        PartUnavailable, match=f"part '{name}' cannot be imported: {BROKEN[name][1].__name__}"
    ) as caught:
        folder.load(name)
    assert caught.value.__cause__ is caught.value.cause


def test_a_good_part_loads(folder):
    assert folder.load("omega").NAME == "omega"


def test_a_new_file_is_a_part_at_once(folder, tmp_path):
    (tmp_path / "zz_parts" / "beta.py").write_text("")
    assert "beta" in folder.names()


@pytest.mark.parametrize("name", ["omga", "helper", "_private", "", "alpha.NAME", "../alpha"])
def test_a_name_that_is_no_part_says_what_there_is(folder, name):
    with pytest.raises(UnknownName, match=r"Available: alpha, .*omega"):
        folder.load(name)
