"""Stages: one module = one pure function of the same name, in the order the data flows.

A stage's positional arguments are artifacts by their names in `betti.catalog`, its keyword arguments are its block of
params.yaml, its return value is its outs. Tables in, tables out: no disk, no clock, no environment, no network
(ingest's sources excepted). `betti.binding` binds them to data/. Stages do not import each other.
"""
