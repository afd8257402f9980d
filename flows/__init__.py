"""Flows and the command line: what is run together, and how a person asks for it."""

from betti import threads

threads.pin()
