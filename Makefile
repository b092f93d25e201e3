# `make` lists the targets. Everything runs in .venv, which the first target that needs it creates.

PYTHON ?= python3
UV ?= uv
#: Arguments for pytest: make test ARGS="-k lease -x"
ARGS ?=
#: The modules of `make up`.
PIPELINE ?= examples.blobs.pipeline

BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
# Empty files: when they are newer than the lock, .venv holds what the lock says.
RUN := .venv/.installed-run
DEV := .venv/.installed-dev
MYSQLCLIENT := .venv/.installed-mysqlclient
#: One process per core; whoever is through takes tests from another, so that a module stays together.
PARALLEL := -n auto --dist worksteal
PACKAGES := djq workers examples
FAST := $(wildcard tests/unit tests/property tests/stateful tests/docs)
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate $(UPGRADE) --group build pyproject.toml

# Without these pyright's launcher asks the registry for a newer version each time.
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1
# Without compiled files each of the many processes of the suite starts seconds later.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo up test check mypy pyright format fast faults soak servers mysqlclient lock clean distclean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUN) ## Compute a real pipeline on this machine and draw the result
	$(BIN)/djq demo

up: $(RUN) ## Start the whole local stack: embedded queue, scheduler, workers, Flower
	$(BIN)/djq up $(PIPELINE)

# Three runs: most tests in parallel, then those that kill and wait, then one by one what measures
# time. A selection may have no test in one of them (pytest's status 5), but not in all.
test: $(DEV) servers mysqlclient ## Run the whole suite on SQLite, MariaDB and Redis (on MySQL too: see CONTRIBUTING.md)
	@empty=0; for part in "beside $(PARALLEL)" "faults $(PARALLEL)" alone; do \
		(set -x; $(BIN)/pytest --part $$part $(ARGS)) || { \
			status=$$?; [ $$status = 5 ] || exit $$status; empty=$$((empty + 1)); }; \
	done; [ $$empty -lt 3 ]

# What takes a core for long runs side by side.
check: $(DEV) ## What every change must pass: format, lint, imports, types, fast tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory --jobs 3 mypy pyright fast

mypy: $(DEV)
	$(BIN)/mypy

pyright: $(DEV)
	$(BIN)/pyright

format: $(DEV) ## Format the code and mend what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

fast: $(DEV) ## Run the tests that need no server
	DJQ_TEST_FAST=1 DJQ_TEST_DATABASES=sqlite $(BIN)/pytest $(PARALLEL) $(FAST) $(ARGS)

faults: $(DEV) servers ## Run the tests that kill, cut off and double things
	$(BIN)/pytest tests/faults $(ARGS)

soak: $(DEV) servers ## Run a fleet at full speed for half an hour, and kill something every 10 s
	DJQ_TEST_SOAK_S=$${DJQ_TEST_SOAK_S:-1800} $(BIN)/pytest tests/soak --log-cli-level=INFO $(ARGS)

servers: ## Install MariaDB, Redis and RabbitMQ from the system's packages, where they are missing
	@tests/support/install_servers.sh

# It has no wheels for Linux. Where it cannot be built its tests are skipped, or fail where CI is set.
mysqlclient: $(DEV) ## Build mysqlclient, for mysql+mysqldb:// (make test does it)
	@[ $(MYSQLCLIENT) -nt requirements-mysqlclient.lock ] || { tests/support/install_headers.sh $(BIN)/python; \
	$(PIP) install --no-deps --no-build-isolation --require-hashes -r requirements-mysqlclient.lock \
	>.venv/mysqlclient.log 2>&1 && touch $(MYSQLCLIENT) || echo "mysqlclient cannot be built (it needs" \
	"libmariadb-dev, pkg-config and a C compiler; see .venv/mysqlclient.log): its tests are skipped" >&2; }

lock: ## Pin the dependencies again (newest versions: make lock UPGRADE=--upgrade)
	$(LOCK) --extra dev --output-file requirements-dev.lock
	$(LOCK) --extra demo --constraints requirements-dev.lock --output-file requirements.lock
	echo 'mysqlclient>=2.2' | $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate $(UPGRADE) --output-file requirements-mysqlclient.lock -

clean: ## Remove caches and the demo's output; .djq (your data) and .venv stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage build dist demo
	find $(PACKAGES) tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## Remove .venv, too
	rm -rf .venv

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit("djq needs Python 3.11 or newer, and $(PYTHON) is " \
	+ sys.version.split()[0] + "; name another one: make demo PYTHON=python3.12" \
	if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo \
	"$(PYTHON) cannot create environments; on Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv

$(RUN): requirements.lock pyproject.toml | $(BIN)/pip
	@echo "Installing the locked packages into .venv (once, about a minute) ..."
	$(PIP) install --no-compile --no-deps --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	-@$(BIN)/python -m compileall -q -j 0 .venv/lib $(PACKAGES)
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(BIN)/pip
	@echo "Installing the locked packages and tools into .venv (once, about a minute) ..."
	$(PIP) install --no-compile --no-deps --require-hashes -r requirements-dev.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	-@$(BIN)/python -m compileall -q -j 0 .venv/lib $(PACKAGES)
	@touch $(RUN) $@
