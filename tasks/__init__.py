"""Between the pure core and Prefect: how one stage is run, recorded by DVC, and shown.

tasks imports betti; flows import tasks; never back.
"""
