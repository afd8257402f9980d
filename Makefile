# Two commands do all set-up by themselves: `make run` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
SHELL := /bin/bash
.SHELLFLAGS := -eo pipefail -c
BIN := $(VENV)/bin
# DVC's commands (`python -m betti ...`) must find this environment's interpreter.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup run test unit fuzz check dashboard bench clean

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

setup: $(VENV)/.ready  ## a virtual environment with everything in it

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "Betti needs Python 3.11; say where it is: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 2; }
	@echo "Setting up $(VENV): about two minutes, once."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --editable '.[all]' | awk \
		'/^Collecting / { if (++n % 25 == 0) print "  " n " packages looked up"; fflush() } \
		 /^Installing collected/ { print "  installing them"; fflush() }'
	@touch $@

run: setup  ## bars to a verdict and an HTML report, on the built-in sample
	@$(BIN)/betti run

test: setup  ## the whole suite, fast tests first
	@$(BIN)/pytest tests/unit tests/contract --numprocesses auto --dist loadfile
	@$(BIN)/pytest tests/flow

unit: setup  ## the fast tests alone
	@$(BIN)/pytest tests/unit -x -q

fuzz: setup  ## point clouds beside ripser, and damaged CSV files, by chance and by coverage (half an hour)
	@$(BIN)/python -m tests.fuzz_topology 100000
	@$(BIN)/python -m tests.fuzz_csv 10
	@if $(BIN)/python -c 'import atheris' 2>/dev/null; then $(BIN)/python -m tests.fuzz_csv --atheris 600; \
		else echo "atheris is not installed: no search by coverage"; fi

check: setup  ## what CI runs: lint, types, contracts, doctests, tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q --doctest-modules src/betti flows/clock.py tasks/lineage.py tasks/lockfile.py
	@$(MAKE) --no-print-directory test

dashboard: setup  ## Prefect server, worker and the nightly deployment; prints the address
	@$(BIN)/python -m flows.dashboard

bench: setup  ## every benchmark, as a table (minutes)
	@$(BIN)/python -m benchmarks

clean:  ## what can be made again: data, caches, environment (DVC's cache stays)
	rm -rf $(VENV) .betti .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf data/1_bars data/2_clean data/3_features data/4_sets data/5_labels data/6_folds data/7_models
	rm -rf data/8_predictions data/9_reports/plots data/9_reports/validation data/9_reports/*.html data/9_reports/*.json data/.tmp
