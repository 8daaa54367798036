"""Failed tool calls: their lines in the log, and their status while the audit journal cannot be written."""

import json
import resource

import httpx2
import pytest

from local_stack.demo_scenario import ServicesApi, mcp_request
from local_stack.stack import MCP, REDIS

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SECOND_TRACE_ID = "1af7651916cd43dd8448eb211c80319c"


def call_with_trace_id(api, token, trace_id, tool, arguments):
    headers, body = mcp_request(token, "2026-07-28", "tools/call", {"name": tool, "arguments": arguments})
    headers["traceparent"] = f"00-{trace_id}-00f067aa0ba902b7-01"
    return api.http.post(f"{api.mcp_url}/mcp", headers=headers, content=body)


def log_lines(stack, trace_id):
    text = (stack.state / "logs" / "mcp-resource-service.log").read_text()
    return [line for line in map(json.loads, text.splitlines()) if line.get("trace_id") == trace_id]


def test_the_log_line_of_a_failed_call_has_the_trace_id_and_the_cause(api, stack):
    token = api.client.token("mcp.access mcp.decrypt")
    response = call_with_trace_id(api, token, TRACE_ID, "read_sensitive_data", {"record_id": "rec_unknown"})
    assert response.json()["result"]["isError"]
    (line,) = log_lines(stack, TRACE_ID)
    assert "read_sensitive_data" in line["event"]
    assert "not_found" in line["event"]


def test_every_log_line_of_an_unavailable_store_has_the_trace_id(own_stack):
    with httpx2.Client(timeout=20) as http:
        api = ServicesApi(own_stack.auth_url, own_stack.mcp_url, http)
        token = api.token
        own_stack.kill(REDIS)
        response = call_with_trace_id(api, token, SECOND_TRACE_ID, "store_sensitive_data", {"data": "x"})
        assert response.status_code == 503
    lines = log_lines(own_stack, SECOND_TRACE_ID)
    assert [line["store"] for line in lines if line["event"] == "store_unavailable"] == ["the record store"]
    assert any("temporarily_unavailable" in line["event"] for line in lines)


def test_stateless_calls_log_no_message_about_a_session(api, stack):
    call = {"name": "get_server_status", "arguments": {}}
    assert api.post_mcp(api.token, "2025-11-25", "tools/call", call).status_code == 200
    assert "Terminating session" not in (stack.state / "logs" / "mcp-resource-service.log").read_text()


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
def test_known_and_unknown_tools_answer_503_while_the_journal_cannot_be_written(own_stack, version):
    with httpx2.Client(timeout=20) as http:
        api = ServicesApi(own_stack.auth_url, own_stack.mcp_url, http)
        token = api.token
        pid = own_stack.children[MCP].pid
        limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, limits[1]))
        try:
            for name in ("no_such_tool", "get_server_status", "no_such_tool"):
                response = api.post_mcp(token, version, "tools/call", {"name": name, "arguments": {}})
                assert response.status_code == 503, name
                assert "temporarily_unavailable" in response.text
                assert "the request cannot be recorded at the moment" in response.text
                assert response.headers["retry-after"]
            assert api.get("/readyz").json()["checks"]["journal"]["ok"] is False
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
