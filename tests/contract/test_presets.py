"""params.yaml and every preset beside it name parts, knobs and values that exist."""

from __future__ import annotations

import shutil

import pytest

from betti import binding, params
from betti.catalog import STAGES
from tests.conftest import REPOSITORY

FILES = [REPOSITORY / "params.yaml", *sorted((REPOSITORY / "docs" / "presets").glob("*.yaml"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_knob_of_every_stage_is_accepted(tmp_path, file):
    shutil.copy(file, tmp_path / "params.yaml")
    shutil.copy(REPOSITORY / "asof.yaml", tmp_path / "asof.yaml")
    known = params.load(tmp_path)
    for stage in STAGES.values():
        for item in params.items(known, stage) or (None,):
            binding.check(known, stage, item, tmp_path)
