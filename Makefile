# One page of commands. `make run` needs Python 3.11+ and make, nothing else; `make test` gets the rest by itself.

.DEFAULT_GOAL := help
.PHONY: help run demo test soak check bench screens format clean-venv

SCALE ?= small
SEED ?= 1
TESTS ?= tests
JOBS ?= 2
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
RUN_STAMP := $(VENV)/.rapport-run
DEV_STAMP := $(VENV)/.rapport-dev

help:  ## Show this list
	@echo "Rapport, a CRM whose analytics are honest"
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo "Settings come from the environment or .env (see .env.example)."

run: $(RUN_STAMP)  ## Start the app on http://localhost:8501 (migrates the database, starts the worker)
	@exec $(PY) -m crm_core serve $(ARGS)

demo: $(RUN_STAMP)  ## Fill an empty database with the demo company: SCALE=small|medium|large SEED=1
	@$(PY) -m crm_core demo --scale $(SCALE) --seed $(SEED) $(ARGS)

test: $(DEV_STAMP)  ## Run every test, on SQLite and PostgreSQL and in a real browser: TESTS=tests/ml JOBS=2 ARGS="-k word"
	@chromium=$$($(PY) tests/tools/chromium.py) || true; \
	OMP_NUM_THREADS=1 RAPPORT_CHROMIUM="$$chromium" $(PY) -m pytest $(TESTS) -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

soak: $(DEV_STAMP)  ## Kill workers fifty times at random on both databases: some minutes
	@OMP_NUM_THREADS=1 RAPPORT_KILLS=50 $(PY) -m pytest tests/worker/test_kill_often.py $(ARGS)

check: $(DEV_STAMP)  ## Format, lint, types and the direction of imports
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo

format: $(DEV_STAMP)  ## Format the code and repair what the linter can repair
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

bench: $(DEV_STAMP)  ## Measure on the large demo and write docs/benchmarks.md
	@OMP_NUM_THREADS=1 $(PY) -m tests.bench $(ARGS)

screens: $(DEV_STAMP)  ## Picture every page for every role into .screens/: ARGS="--role sales_rep --page deals"
	@chromium=$$($(PY) tests/tools/chromium.py) && RAPPORT_CHROMIUM="$$chromium" $(PY) -m tests.tools.screens $(ARGS)

clean-venv:  ## Remove the environment, to build it anew
	rm -rf $(VENV)

# The environment. A stamp is newer than its list of pins when everything in it is installed.

$(RUN_STAMP): requirements.txt .ci/environment.sh
	@sh .ci/environment.sh $(VENV)
	@$(PIP) install --quiet --quiet --requirement requirements.txt
	@touch $(RUN_STAMP)

$(DEV_STAMP): requirements-dev.txt $(RUN_STAMP)
	@$(PIP) install --quiet --quiet --requirement requirements-dev.txt
	@touch $(DEV_STAMP)
