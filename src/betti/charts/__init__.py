"""Pictures for the report: one file = one kind of picture, each a pure function from tables to a plotly figure.

`theme.py` holds what they share, `markup.py` writes HTML, `page.py` puts sections together. What does not belong here:
reading artifacts, computing a score (`betti.metrics`), or deciding anything (`betti.promotion`).
"""
