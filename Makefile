# make demo | test | test-slow | check | study | full | data | setup     see README.md
#
# Variables: PYTHON (an interpreter >= 3.11), PIP_ARGS (extra words for pip, for instance
# PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu" for the small CPU build of torch).

PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
STAMP := .venv/.installed
DEMO := runs/demo
STUDY := runs/study
FULL := runs/full
# One process for each core, four at most; each keeps the tests of a file together, which share what they build.
PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile
# What tests start is compiled once, not at every start.
export PYTHONDONTWRITEBYTECODE =
DATA ?= ../shared/data
OUT ?= runs/all
SMOKE := runs/smoke

.PHONY: help setup demo study full data smoke test test-slow test-long check lint format docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     analyze a score and its scan with the weights that come along, in half a minute ($(DEMO))"
	@echo "make test     the test suite, in three to six minutes; test-slow: what takes longer than five seconds"
	@echo "make check    lint, format, types, floors, then both"
	@echo "make study    build pairs, pre-train, fine-tune, benchmark and report, in six to ten minutes ($(STUDY))"
	@echo "make full     the same with everything that is available, hours ($(FULL))"
	@echo "make data     the largest data set: music21's corpus and the public sets in DATA=$(DATA), an hour (OUT=$(OUT))"
	@echo "make smoke    the smallest study, under a minute ($(SMOKE))"
	@echo "make setup    the environment alone, in .venv"
	@echo "make docs     write docs/cli.md again from the program"

setup: $(STAMP)
	@echo "The environment is in .venv."

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make: $(PYTHON) was not found; install Python 3.11 or newer, or say: make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is older than Python 3.11; install a newer one, or say: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "make: $(PYTHON) cannot make environments; on Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv: a few minutes, once."
	@$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e ".[dev,all]"
	@touch $(STAMP)

demo: $(STAMP)
	@mkdir -p $(DEMO)
	$(BIN)/scoresim analyze examples/menuet.krn --image examples/menuet.png --html $(DEMO)/report.html
	@echo "Open it in a browser: $(CURDIR)/$(DEMO)/report.html"

study: $(STAMP)
	$(BIN)/scoresim study --preset demo --out $(STUDY)
	@echo "The report: $(CURDIR)/$(STUDY)/report.html"

full: $(STAMP)
	$(BIN)/scoresim study --preset full --out $(FULL)
	@echo "The report: $(CURDIR)/$(FULL)/report.html"

data: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh runs/all_data.sh $(DATA) $(OUT)

smoke: $(STAMP)
	rm -rf $(SMOKE)
	$(BIN)/scoresim study --preset smoke --out $(SMOKE)
	$(BIN)/scoresim verify $(SMOKE)/data

test: $(STAMP)
	$(PYTEST)

test-slow: $(STAMP)
	$(PYTEST) --timeout 600 -m slow

test-long: $(STAMP)
	$(BIN)/python -m pytest -m long

check: lint test-slow test

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_corpora.py

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
