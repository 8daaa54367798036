# `make` lists the targets. Each is a line or two; the work is in Python beside what it works on.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export UV_PYTHON_DOWNLOADS := never

help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Develop
check: $(VENV)/.dev ## lint, types, room contracts, file sizes
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python .ci/sizes.py

test: $(VENV)/.dev ## the test suite: Python only
	$(BIN)/pytest -q -m "not compose and not clients and not deep"

lock: ## renew requirements/*.lock (needs uv)
	sh requirements/lock.sh --upgrade

$(VENV)/.run: requirements/run.lock requirements/install.sh */pyproject.toml
	@sh requirements/install.sh run "$(PYTHON)"
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.lock
	@sh requirements/install.sh dev "$(PYTHON)"
	@touch $@

.PHONY: help check test lock
