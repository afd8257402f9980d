"""Training: prepare rows, scale them, run the one torch loop, keep what came out.

What does not belong here: what a model computes (`betti.models`, `betti.nn`), which rows are whose (`betti.splits`).
"""
