"""Great Expectations suites: one file per artifact, with the artifact's name.

A suite is the one definition of what its artifact must satisfy: validation quarantines the rows that break it, and
the data docs show it. What does not belong here: repairing anything.
"""
