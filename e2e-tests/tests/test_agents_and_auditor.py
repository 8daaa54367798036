"""A complete use case: agents store and look up data and are refused, then an auditor reads the audit trail."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from fastmcp.exceptions import ToolError

from local_stack.demo_scenario import ServicesApi

pytestmark = pytest.mark.any_stack

CUSTOMERS = {
    "홍길동": "고객 홍길동님, hong@example.com, 010-1234-5678, 환불 요청",
    "김영희": "고객 김영희님, 주민등록번호 880101-1234568, 주소 변경",
    "John Smith": "customer John Smith, john.smith@example.com, card 4111 1111 1111 1111",
}
VALUES = ["hong@example.com", "010-1234-5678", "880101-1234568", "john.smith@example.com", "4111 1111 1111 1111"]


def test_agents_and_an_auditor_use_the_services(employee: Callable[[str], ServicesApi], api: ServicesApi) -> None:
    morning = datetime.now(UTC).isoformat()
    agent, colleague, batch = employee("support-agent"), employee("claims-agent"), employee("night-batch")

    # Cases are stored; no response repeats the stored text.
    records: dict[str, str] = {}
    for name, case in CUSTOMERS.items():
        stored = agent.call("store_sensitive_data", {"data": case, "field": "support_case"})
        assert not [value for value in VALUES if value in json.dumps(stored, ensure_ascii=False)]
        records[name] = stored["record_id"]

    # A user lookup returns only masked data.
    person = agent.call("get_user_info", {"person_id": "p_hong"})
    assert (person["email"], person["phone"]) == ("h***@example.com", "010-****-5678")

    # A client with mcp.decrypt reads its own record in clear; for other clients the record does not exist.
    reading = {"record_id": records["홍길동"]}
    assert agent.call("read_sensitive_data", reading, scope="mcp.access mcp.decrypt")["data"] == CUSTOMERS["홍길동"]
    with pytest.raises(ToolError, match="not_found"):
        colleague.call("read_sensitive_data", reading, scope="mcp.access mcp.decrypt")

    # The batch client may not decrypt, and its arguments must not contain personal data.
    assert batch.client.request_token(scope="mcp.decrypt").json()["error"] == "invalid_scope"
    refused = batch.post_mcp(
        batch.token, "2026-07-28", "tools/call", {"name": "read_sensitive_data", "arguments": reading}
    )
    assert refused.status_code == 403
    with pytest.raises(ToolError, match="operation_data"):
        batch.call("high_security_operation", {"operation_data": f"purge {CUSTOMERS['John Smith']}"})
    assert batch.call("high_security_operation", {"operation_data": "purge p_hong"})["status"] == "accepted"

    # Unauthenticated requests are refused, and an agent can read only its own events.
    assert api.get("/hello").status_code == 401
    assert batch.client.request_token(client_secret="guessed").status_code == 401
    everyone = {"name": "get_security_audit_log", "arguments": {"whose": "everyone"}}
    refused = agent.post_mcp(agent.token, "2026-07-28", "tools/call", everyone)
    assert refused.status_code == 403
    assert "mcp.audit" in refused.headers["WWW-Authenticate"]

    # The auditor reads the report and the audit trail.
    auditor = employee("auditor")
    scope = "mcp.access mcp.audit"
    everyone = {"whose": "everyone", "since": morning}
    for _ in range(30):  # the last events are shipped shortly after the responses
        report = auditor.call("generate_security_report", everyone, scope=scope)
        figures = report["figures"]
        if figures["by_outcome"].get("refused", 0) >= 3:
            break
    assert figures["by_tool"]["store_sensitive_data"] >= len(CUSTOMERS)
    assert figures["by_outcome"]["refused"] >= 3
    assert "store_sensitive_data" in report["markdown"]
    trail = auditor.call("get_security_audit_log", {**everyone, "limit": 200}, scope=scope)["events"]
    seen = {(event["client_id"], event["tool_name"], event["outcome"]) for event in trail}
    assert ("support-agent", "store_sensitive_data", "success") in seen
    assert ("claims-agent", "read_sensitive_data", "failure") in seen
    assert ("night-batch", "high_security_operation", "refused") in seen
    whole = json.dumps([report, trail], ensure_ascii=False)
    assert not [value for value in [*VALUES, "eyJ", "guessed"] if value in whole]
