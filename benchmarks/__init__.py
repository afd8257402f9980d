"""Every performance budget as a comparison that can be run: `python benchmarks/NAME.py` prints one JSON line a figure.

Ours and the reference are measured side by side, in turn, in one process; the ratio is quoted with its spread, since
machines differ and drift. Nothing here is a test: no budget can fail a build.
"""
