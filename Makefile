# `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
# The seed of the test order. `make test SEED=2` runs the tests in another order.
SEED ?= 1
VENV := .venv
BIN := $(VENV)/bin
export UV_PYTHON_DOWNLOADS := never

# The texts of the list are in English and Korean. The locale decides as in security_common/messages.py.
LOCALE := $(or $(LC_ALL),$(LC_MESSAGES),$(LANG))
TEXT := $(if $(filter ko ko_% ko.%,$(LOCALE)),2,1)

help: ## list the targets | 타깃 목록 표시
	@awk -v text=$(TEXT) 'BEGIN { FS = ":.*## " } \
		/^##@ / { split(substr($$0, 5), texts, " [|] "); printf "\n%s\n", texts[text] } \
		/^[a-z-]+:.*## / { split($$2, texts, " [|] "); printf "  %-18s %s\n", $$1, texts[text] }' $(MAKEFILE_LIST)

##@ Use | 사용
run: $(VENV)/.run ## start Redis and both services, until Ctrl-C | Redis와 두 서비스를 실행(Ctrl-C로 종료)
	@exec $(BIN)/local-stack run

demo: $(VENV)/.run ## run the demo scenario against the running stack | 실행 중인 서비스로 데모 시나리오 확인
	@$(BIN)/local-stack demo

token: $(VENV)/.run ## print an access token of the demo client | 데모 클라이언트의 액세스 토큰 출력
	@$(BIN)/local-stack token

admin: $(VENV)/.run ## run a command of the services: make admin ARGS="auth-service user list" | 서비스의 관리 명령 실행: make admin ARGS="auth-service user list"
	@$(BIN)/local-stack admin $(ARGS)

backup: $(VENV)/.run ## write all state of make run to an archive (FILE=name.tar.gz) | make run의 데이터를 모두 아카이브에 백업(FILE=name.tar.gz)
	@$(BIN)/local-stack backup $(FILE)

restore: $(VENV)/.run ## restore the state of make run from FILE=name.tar.gz | FILE=name.tar.gz에서 make run의 데이터 복원
	@$(BIN)/local-stack restore $(FILE)

reset: $(VENV)/.run ## delete all state of make run, after a confirmation (YES=1: without) | make run의 데이터를 확인을 받은 뒤 모두 삭제(YES=1: 확인 없이)
	@$(BIN)/local-stack reset

##@ Develop | 개발
check: $(VENV)/.dev ## lint, types, import contracts, file sizes, wording, licences | 린트, 타입, 임포트 규칙, 파일 크기, 문구 검사
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/lint-imports --config gateway-service/importlinter.toml
	$(BIN)/python .ci/sizes.py
	$(BIN)/python .ci/wording.py
	$(BIN)/python .ci/licenses.py --quiet

test: $(VENV)/.dev ## the test suite: Python only | 전체 테스트(Python만)
	$(BIN)/pytest -q -n 4 --dist loadfile --no-loadscope-reorder --randomly-seed $(SEED) --ignore e2e-tests/tests/clients -m "not compose and not deep and not ops"

test-compose: $(VENV)/.dev ## the demo scenario against docker compose (needs Docker) | docker compose로 데모 시나리오 테스트(Docker 필요)
	$(BIN)/pytest -q --compose --ignore e2e-tests/tests/clients -m "(compose or any_stack) and not deep and not ops" e2e-tests/tests

test-compose-deep: $(VENV)/.dev ## two million audit events through the containers (needs Docker and 15 minutes) | 컨테이너로 감사 이벤트 200만 건 테스트(Docker 필요, 15분)
	$(BIN)/pytest -q --compose --ignore e2e-tests/tests/clients -m "compose and deep" -o log_cli=true --log-cli-level=info e2e-tests/tests

test-deep: $(VENV)/.dev ## long fault runs, 10,000 examples for each property | 긴 장애 테스트, 속성마다 예제 10,000개
	HYPOTHESIS_PROFILE=deep $(BIN)/pytest -q --ignore e2e-tests/tests/clients -m "not compose"

test-ops: $(VENV)/.dev ## failover, replicas and recovery with several real servers | 실제 서버 여러 대로 페일오버, 복제본, 복구 테스트
	$(BIN)/pytest -q --ignore e2e-tests/tests/clients -m "ops and not compose"

test-clients: $(VENV)/.clients ## real clients in Chromium and Node, the MCP conformance suite | Chromium과 Node의 실제 클라이언트, MCP 적합성 테스트
	$(BIN)/pytest -q -m clients e2e-tests/tests/clients

docs: $(VENV)/.dev ## write configuration.md, the tables of audit.md (both also in docs/ko) and deploy/compose/*.env | configuration.md, audit.md의 표(둘 다 docs/ko 포함), deploy/compose/*.env 생성
	$(BIN)/python -m local_stack.configuration_page docs
	$(BIN)/python -m local_stack.audit_tables docs
	$(BIN)/python -m local_stack.compose_settings deploy/compose

pii-report: $(VENV)/.dev ## precision and recall of the PII rules by kind, into docs/pii-report.md | 개인정보 규칙의 종류별 정밀도와 재현율을 docs/pii-report.md에 기록
	$(BIN)/python benchmarks/pii_report.py docs/pii-report.md

pii-rivals: requirements/benchmark.lock ## install the engines that pii-report compares ours with | pii-report에서 비교할 엔진 설치
	$(PYTHON) -m venv .venv-benchmark && .venv-benchmark/bin/pip install -q --no-deps --require-hashes -r requirements/benchmark.lock

check-manifests: requirements/manifests.lock ## compare deploy/kubernetes with the schemas of Kubernetes | deploy/kubernetes를 Kubernetes 스키마와 비교
	$(PYTHON) -m venv .venv-manifests && .venv-manifests/bin/pip install -q --no-deps --require-hashes -r requirements/manifests.lock
	sh .ci/check_manifests.sh

licenses: $(VENV)/.dev ## list the licences of the packages in the images
	$(BIN)/python .ci/licenses.py

sbom: requirements/sbom.lock ## write dist/*.whl and a bill of materials (CycloneDX) of each service
	PYTHON="$(PYTHON)" sh .ci/sbom.sh

lock: ## renew requirements/*.lock (needs uv) | requirements/*.lock 갱신(uv 필요)
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

.PHONY: help run demo token admin backup restore reset check test test-compose test-compose-deep test-deep test-ops test-clients docs pii-report pii-rivals check-manifests licenses sbom lock
