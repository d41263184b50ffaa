# Everything this repository does, one verb each; `make` alone lists them.
# The virtual environment is made from lock files with hashes, in parts, each when first needed; a part is made again
# only when its lock file changes.

SHELL := /bin/bash
.SHELLFLAGS := -u -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help venv demo test check bench docs lock clean \
        format lint types imports dead changes cover wheel-check

PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(if $(shell $(p) -V 2>/dev/null),$(p))))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
export MPLBACKEND := agg
export NO_MKDOCS_2_WARNING := 1

help:  ## list the verbs
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

venv: $(VENV)/.run  ## make the virtual environment: parscope and what it needs to run

demo: $(VENV)/.run  ## simulate a strained crystal, map its strain, compare with the truth
	$(BIN)/parscope demo

test: $(VENV)/.torch  ## run the tests: units, docstring examples, contracts
	@$(BIN)/python -m pytest $(ARGS)

check: format lint types imports dead changes docs wheel-check cover  ## all that is asked of a change, tests included

bench: $(VENV)/.torch  ## measure speed and accuracy, and redraw the tables; one of them: make bench ONLY=strain
	$(BIN)/python -m benchmarks $(ONLY); kept=$$?; \
	  $(BIN)/python docs/make_tables.py && $(BIN)/python docs/make_figures.py && exit $$kept

docs: $(VENV)/.docs  ## build the documentation into site/; a warning is an error
	$(BIN)/python docs/make_tables.py --check
	$(BIN)/mkdocs build --strict

lock: $(VENV)/.run  ## write the lock files anew
	$(PIP) install uv
	PATH="$(CURDIR)/$(BIN):$$PATH" requirements/lock

clean:  ## remove what was built or measured; the virtual environment stays
	rm -rf build dist site parscope-demo .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# The parts of `make check`.

format: $(VENV)/.check
	$(BIN)/ruff format --check --quiet

lint: $(VENV)/.check
	$(BIN)/ruff check --quiet

types: $(VENV)/.check
	$(BIN)/mypy

imports: $(VENV)/.check
	$(BIN)/lint-imports

dead: $(VENV)/.check
	$(BIN)/vulture

changes: $(VENV)/.check
	$(BIN)/towncrier build --draft --version next > /dev/null

cover: $(VENV)/.torch
	$(BIN)/python -m pytest --cov --cov-report= $(ARGS)
	$(BIN)/coverage report --include='src/parscope/core/*' --fail-under=90
	$(BIN)/coverage report --include='src/parscope/solvers/*' --fail-under=90

# The built package in an environment of its own: are the metadata complete, and the files all there?
wheel-check: $(VENV)/.check
	rm -rf build/wheel dist && mkdir -p build/wheel
	$(BIN)/python -m build --wheel --no-isolation --outdir dist > build/wheel/log
	sed -nE 's/^([A-Za-z0-9._-]+==[^ ]+)( ;[^\\]*)?.*/\1\2/p' requirements/run.txt > build/wheel/constraints.txt
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip --disable-pip-version-check -qq install --no-compile \
	  --constraint build/wheel/constraints.txt "$$(echo dist/*.whl)[catalog,dask,em,parquet,postgres,spm,view]"
	cd build/wheel && venv/bin/parscope --version
	cd build/wheel && for verb in strain fit train view simulate demo; do venv/bin/parscope $$verb --help > $$verb.txt || exit 1; done
	cd build/wheel && mkdir lab && venv/bin/python -c 'import numpy; numpy.save("lab/scan.npy", numpy.zeros((2, 3, 8, 8)))'
	cd build/wheel && venv/bin/parscope collect lab --once --settle 0 --catalog lab.db
	cd build/wheel && test $$(venv/bin/parscope find 'kind = "4D-STEM" and signals.shape = 3' --count --catalog lab.db) = 1
	cd build/wheel && venv/bin/parscope find --crate crate --catalog lab.db && venv/bin/parscope unpack crate --catalog other.db
	cd build/wheel && venv/bin/parscope verify --catalog other.db
	cd build/wheel && test -f venv/lib/python3.*/site-packages/parscope/py.typed

# The parts of the virtual environment. Lock files name everything: pip is not to look for what depends on what, as it
# would take a newer release for a requirement with an extra, which has no hash.

$(VENV)/.run: requirements/run.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and was not found" >&2; exit 1; }
	@echo "Installing what parscope needs into $(VENV), once ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --no-deps --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.run
	@$(PIP) install --no-deps --require-hashes -r requirements/test.txt
	@touch $@

$(VENV)/.torch: requirements/torch.txt $(VENV)/.test
	@$(PIP) install -r requirements/torch.txt
	@touch $@

$(VENV)/.check: requirements/check.txt $(VENV)/.test
	@$(PIP) install --no-deps --require-hashes -r requirements/check.txt
	@touch $@

$(VENV)/.docs: requirements/docs.txt $(VENV)/.test
	@$(PIP) install --no-deps --require-hashes -r requirements/docs.txt
	@touch $@
