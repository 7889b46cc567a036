# Every target sets up what it needs in .venv; none of them needs a server.
#   PYTHON=python3.13   the interpreter that .venv is made with (3.11 or later)
#   TESTS=tests/engine  what `make test` runs
#   ARGS="-k scan -x"   more arguments for the command behind a target

PYTHON ?= python3
VENV ?= .venv
TESTS ?= tests
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
DEMO := $(VENV)/.installed-demo
DEV := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help demo test check bench upstream fuzz mutate model torture commands

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(DEMO) ## serve the demo site at a printed address; Ctrl-C ends it
	@exec $(BIN)/python manage.py demo $(ARGS)

test: $(DEV) ## run the tests; without redis-server some are skipped, and counted
	@$(BIN)/python -m pytest $(TESTS) $(ARGS)

check: $(DEV) ## formatting, lint, types, house rules, docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_tidy.py tests/test_docs.py

bench: $(DEV) ## time us beside the other backends and engines, as ratios
	@$(BIN)/python -m benchmarks $(ARGS)

upstream: $(DEV) ## run Django's own cache and session tests on our backend
	@$(BIN)/python -m tests.upstream $(ARGS)

fuzz: $(DEV) ## compare 100,000 random commands on the engine and on redis-server
	@$(BIN)/python -m tests.differential --commands 100000 $(ARGS)

mutate: $(DEV) ## read a million mutated requests with the parser and with its model
	@$(BIN)/python -m tests.server.mutate --inputs 1000000 $(ARGS)

model: $(DEV) ## explore the near caches' protocol over a million random schedules
	@$(BIN)/python -m tests.invalidation.model $(ARGS)

torture: $(DEV) ## near caches of several processes on a redis-server, while everything goes wrong
	@$(BIN)/python -m tests.invalidation.torture $(ARGS)

commands: $(DEV) ## write docs/commands.md from the command table
	@$(BIN)/python -m tests.command_table

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "cacheapp needs Python 3.11 or later; say make PYTHON=python3.13"; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(DEMO): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what the demo needs into $(VENV)"
	@$(PIP) -e '.[demo]'
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what development needs into $(VENV)"
	@$(PIP) -e '.[dev]'
	@touch $@ $(DEMO)
