"""Promotion: which run, if any, has earned to be the champion.

What does not belong here: scores and their intervals (`betti.metrics`), and the pointer that predictions follow.
"""
