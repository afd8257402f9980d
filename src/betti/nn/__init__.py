"""Torch blocks that several models share. What does not belong here: training them (`betti.training`), whole models."""
