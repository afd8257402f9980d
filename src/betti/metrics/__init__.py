"""Scores: what out-of-sample predictions are worth, and how sure one can be of it.

`classification` judges probabilities, `trading` what acting on them would have earned, `baselines` says what needs no
model, `significance` how much of a difference is luck. What does not belong here: training, choosing a champion
(`betti.promotion`), and reading or writing anything.
"""
