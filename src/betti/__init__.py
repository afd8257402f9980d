"""Betti: from market bars to an honestly evaluated model.

This package is the framework-free core: it knows neither Prefect nor DVC. Heavy libraries are imported where they
are used, so that `import betti` stays instant.
"""

__version__ = "0.1.0"
