# make run   sets everything up and compresses the built-in demo prior
# make test  sets everything up and runs the whole test suite
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
RANKS  ?= 2
STAMP  := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs
TEST_STAMP := $(VENV)/.installed-test
# Installed first and in this version: what a wider range admits may come with gigabytes of GPU libraries.
TORCH  ?= torch==2.13.0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup setup-docs setup-test run test test-fast lint format check bench docs clean

help:
	@sed -n '1,2s/^# //p' Makefile; echo "others: setup lint format docs bench check clean"

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "Python 3.11 is needed; 'make PYTHON=/path/to/python3.11 ...' names another one"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[mpi,dev]'
	@touch $@

setup-test: $(TEST_STAMP)

$(TEST_STAMP): $(STAMP)
	$(BIN)/pip install --quiet '$(TORCH)'
	$(BIN)/pip install --quiet --editable '.[mpi,dev,ml,launch,evolution,events]'
	@touch $@

setup-docs: $(DOCS_STAMP)

$(DOCS_STAMP): $(STAMP)
	$(BIN)/pip install --quiet --editable '.[mpi,dev,docs]'
	@touch $@

run: setup
	$(BIN)/mpirun -n $(RANKS) $(BIN)/compress-mpi runcards/demo.yml --set output=run/
	$(BIN)/compress-mpi report run/compress_demo_50.h5

# A file stays with one worker, which makes its long runs once. Files go out in order, so that the many short
# ones of tests/unit come last and the workers end together; one more than two cores is busy where tests wait.
test: setup-test
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not alone"
	$(BIN)/python -m pytest -m alone

test-fast: setup-test
	$(BIN)/python -m pytest -m "not slow and not mpi"

lint: setup
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix src tests benchmarks docs
	$(BIN)/ruff format src tests benchmarks docs

docs: $(DOCS_STAMP)
	$(BIN)/python -m sphinx -j 2 -W --keep-going -b html docs docs/_build/html

check: lint docs test

bench: setup
	@mkdir -p bench
	$(BIN)/python benchmarks/run.py --output bench/results.json

clean:
	rm -rf $(VENV) run bench docs/_build docs/generated build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
