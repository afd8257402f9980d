"""What may be searched: every registered model says so, within its own ranges."""

from __future__ import annotations

import pytest

from betti.models import FOLDER, ModelRegistry, _search
from betti.models._search import OneOf

UNSEARCHED = {"hrm"}  # declares nothing yet


@pytest.mark.parametrize("name", [name for name in FOLDER.names() if name not in UNSEARCHED])
def test_every_model_can_be_tuned(name: str) -> None:
    model = ModelRegistry.create(name)
    space = _search.space(model)
    assert space
    for knob, choice in space.items():
        ends = choice.values if isinstance(choice, OneOf) else (choice.low, choice.high)
        for value in ends:
            assert ModelRegistry.create(name, {knob: value}).config[knob] == value
