# Two lines are all there is to know: `make up` runs the fleet, `make test` passes the tests.
# Each sets up what it needs by itself and is quick when nothing changed.

PYTHON ?= python3
VENV   := .venv
ifeq ($(OS),Windows_NT)
  BIN := $(VENV)/Scripts
else
  BIN := $(VENV)/bin
endif
TESTS  ?= tests
PARALLEL ?= auto

.DEFAULT_GOAL := help
.PHONY: help up test check bench soak docs clean

help: ## this list
	@echo "make up      run the chat fleet here and open it in a browser"
	@echo "make test    set up and run every test (TESTS=path for some of them)"
	@echo "make check   ruff, mypy --strict, import-linter"
	@echo "make bench   the figures, as ratios measured side by side"
	@echo "make soak    the long runs: kills by the hundred, full-size loads"
	@echo "make docs    write what is generated from the code (docs/settings.md, docs/everwake-toml.md)"
	@echo "make clean   remove the environment and what running left behind"

$(VENV)/made:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "Everwake needs Python 3.11 or newer; this is $$($(PYTHON) -V). Say which one: make up PYTHON=python3.12"; exit 2; }
	@echo "· making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "That needs Python's venv module; on Debian: apt-get install python3-venv"; exit 2; }
	@touch $@

$(VENV)/run-installed: pyproject.toml constraints.txt | $(VENV)/made
	@echo "· installing Everwake and what it runs on (once, about half a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[all]" -c constraints.txt
	@touch $@

$(VENV)/dev-installed: pyproject.toml constraints.txt | $(VENV)/made
	@echo "· installing Everwake, its tests and their tools (once, about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]" -c constraints.txt
	@touch $@ $(VENV)/run-installed

up: $(VENV)/run-installed
	@$(BIN)/everwake up

test: $(VENV)/dev-installed
	@echo "· running the tests"
	@$(BIN)/python -m pytest -n $(PARALLEL) --dist loadgroup $(TESTS)

check: $(VENV)/dev-installed
	@echo "· ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "· mypy --strict"
	@$(BIN)/mypy
	@echo "· import-linter"
	@$(BIN)/lint-imports

bench: $(VENV)/dev-installed
	@$(BIN)/python bench/run.py

soak: $(VENV)/dev-installed
	@echo "· the long runs: about half an hour"
	@$(BIN)/python bench/run.py --soak 100 --full --write

docs: $(VENV)/dev-installed
	@$(BIN)/python -m chatify.settings_docs > docs/settings.md
	@$(BIN)/python -m everwake.fleet.tables docs/everwake-toml.md
	@$(BIN)/python -m everwake.diagnose.tables > docs/causes.md
	@$(BIN)/python -m chatify.settings_docs --schema > src/everwake/doctor/schemas/chatify.json
	@$(BIN)/python -m everwake.doctor.tables docs/rules/variables.md

clean:
	rm -rf $(VENV) .everwake .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
