"""What a source is, over every registered source: a new file in the folder is under test the moment it is there."""

from __future__ import annotations

import inspect

import pytest

from betti import knobs, sources
from betti.errors import UnknownName
from tests.unit.sources.files import END

every_source = pytest.mark.parametrize("name", sources.FOLDER.names())


def test_the_sources_that_ship_are_registered_and_import():
    assert {"binance_archive", "csv", "feather", "metatrader", "parquet", "sample"} <= set(sources.FOLDER.names())
    assert sources.FOLDER.failures() == {}


@every_source
def test_fetch_has_the_agreed_signature(name):
    parameters = inspect.signature(sources.FOLDER.load(name).fetch).parameters
    positional = [p.name for p in parameters.values() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert positional == ["symbols", "interval", "until"]
    others = [p for p in parameters.values() if p.name not in positional]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in others), "options are keyword-only"


@every_source
def test_the_module_and_fetch_are_documented(name):
    module = sources.FOLDER.load(name)
    assert module.__all__ == ["fetch"]
    assert module.__doc__
    assert "Raises:" in module.fetch.__doc__
    for option in knobs.accepted(module.fetch):
        assert f"{option}: " in module.fetch.__doc__, f"option {option} is not described"


@every_source
def test_an_option_that_it_does_not_take_is_refused(name):
    with pytest.raises(UnknownName, match="no_such_option"):
        sources.fetch(name, ("X",), "1d", END, {"no_such_option": 1})


def test_an_unknown_source_names_those_there_are():
    with pytest.raises(UnknownName, match="source 'cvs'; did you mean 'csv'"):
        sources.fetch("cvs", ("X",), "1d", END, {})
