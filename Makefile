# `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
# The seed of the test order. `make test SEED=2` runs the tests in another order.
SEED ?= 1
VENV := .venv
BIN := $(VENV)/bin
export UV_PYTHON_DOWNLOADS := never

help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Use
run: $(VENV)/.run ## start Redis and both services, until Ctrl-C
	@exec $(BIN)/local-stack run

demo: $(VENV)/.run ## run the demo scenario against the running stack
	@$(BIN)/local-stack demo

token: $(VENV)/.run ## print an access token of the demo client
	@$(BIN)/local-stack token

admin: $(VENV)/.run ## run a command of the services: make admin ARGS="auth-service user list"
	@$(BIN)/local-stack admin $(ARGS)

reset: $(VENV)/.run ## delete all state of make run, after a confirmation (YES=1: without)
	@$(BIN)/local-stack reset

##@ Develop
check: $(VENV)/.dev ## lint, types, import contracts, file sizes, wording
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/lint-imports --config gateway-service/importlinter.toml
	$(BIN)/python .ci/sizes.py
	$(BIN)/python .ci/wording.py

test: $(VENV)/.dev ## the test suite: Python only
	$(BIN)/pytest -q -n 4 --dist loadfile --no-loadscope-reorder --randomly-seed $(SEED) --ignore e2e-tests/tests/clients -m "not compose and not deep and not ops"

test-compose: $(VENV)/.dev ## the demo scenario against docker compose (needs Docker)
	$(BIN)/pytest -q --compose --ignore e2e-tests/tests/clients -m "(compose or any_stack) and not deep and not ops" e2e-tests/tests

test-compose-deep: $(VENV)/.dev ## two million audit events through the containers (needs Docker and 15 minutes)
	$(BIN)/pytest -q --compose --ignore e2e-tests/tests/clients -m "compose and deep" -o log_cli=true --log-cli-level=info e2e-tests/tests

test-deep: $(VENV)/.dev ## long fault runs, 10,000 examples for each property
	HYPOTHESIS_PROFILE=deep $(BIN)/pytest -q --ignore e2e-tests/tests/clients -m "not compose"

test-ops: $(VENV)/.dev ## failover, replicas and recovery with several real servers
	$(BIN)/pytest -q --ignore e2e-tests/tests/clients -m "ops and not compose"

test-clients: $(VENV)/.clients ## real clients in Chromium and Node, the MCP conformance suite
	$(BIN)/pytest -q -m clients e2e-tests/tests/clients

docs: $(VENV)/.dev ## write configuration.md, the tables of audit.md (both also in docs/ko) and deploy/compose/*.env
	$(BIN)/python -m local_stack.configuration_page docs
	$(BIN)/python -m local_stack.audit_tables docs
	$(BIN)/python -m local_stack.compose_settings deploy/compose

pii-report: $(VENV)/.dev ## precision and recall of the PII rules by kind, into docs/pii-report.md
	$(BIN)/python benchmarks/pii_report.py docs/pii-report.md

pii-rivals: requirements/benchmark.lock ## install the engines that pii-report compares ours with
	$(PYTHON) -m venv .venv-benchmark && .venv-benchmark/bin/pip install -q --no-deps --require-hashes -r requirements/benchmark.lock

check-manifests: requirements/manifests.lock ## compare deploy/kubernetes with the schemas of Kubernetes
	$(PYTHON) -m venv .venv-manifests && .venv-manifests/bin/pip install -q --no-deps --require-hashes -r requirements/manifests.lock
	sh .ci/check_manifests.sh

lock: ## renew requirements/*.lock (needs uv)
	sh requirements/lock.sh --upgrade

$(VENV)/.run: requirements/run.lock requirements/install.sh */pyproject.toml
	@sh requirements/install.sh run "$(PYTHON)"
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.lock
	@sh requirements/install.sh dev "$(PYTHON)"
	@touch $@

$(VENV)/.clients: $(VENV)/.dev requirements/clients.lock requirements/clients-mcp1.lock e2e-tests/clients/package-lock.json
	@sh requirements/install.sh clients "$(PYTHON)"
	@sh e2e-tests/clients/install.sh
	@touch $@

.PHONY: help run demo token admin reset check test test-compose test-compose-deep test-deep test-ops test-clients docs pii-report pii-rivals check-manifests lock
