"""Whether artifacts can be trusted. One Great Expectations suite per artifact, in a file with its name.

A suite is the one definition of what its artifact must satisfy: of bars, validation quarantines the rows that break it,
and the data docs show it. `_engine.check` runs a suite by name. Beside them stand three helpers that condemn no row:
`flags` (bars that look wrong), `gaps` (bars that are not there), `drift` (distributions that moved). What does not
belong here: repairing anything.
"""
