"""Every tool, called like a client through the guard, with stored data."""

import asyncio
import json
import re
import shlex
import subprocess
import time

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from local_stack.demo_scenario import GREETING

TOOLS = {
    "get_server_status",
    "create_test_token",
    "get_user_info",
    "send_message",
    "store_sensitive_data",
    "read_sensitive_data",
    "high_security_operation",
    "test_pii_detection",
    "test_encryption",
    "get_security_audit_log",
    "generate_security_report",
    "simulate_data_breach_detection",
}
RESOURCES = {"guide://tools", "policy://tools", "directory://people", "records://mine", "audit://mine"}
HANGUL = re.compile("[가-힣]")


def tool_error(api, tool, arguments, scope="mcp.access"):
    """Calls a tool and returns the text of its error."""

    async def call():
        transport = StreamableHttpTransport(f"{api.mcp_url}/mcp", auth=api.client.token(scope))
        async with Client(transport) as session:
            result = await session.call_tool(tool, arguments, raise_on_error=False)
        assert result.is_error, result
        return result.content[0].text

    return asyncio.run(call())


def list_tools(api):
    async def tools():
        async with Client(StreamableHttpTransport(f"{api.mcp_url}/mcp", auth=api.token)) as session:
            return await session.list_tools()

    return asyncio.run(tools())


def test_every_tool_has_descriptions_annotations_and_an_output_schema(api):
    tools = list_tools(api)
    assert {tool.name for tool in tools} == TOOLS
    for tool in tools:
        require_both_languages(tool.name, tool.title, tool.description)
        hints = tool.annotations
        assert None not in (hints.read_only_hint, hints.idempotent_hint, hints.open_world_hint), tool.name
        assert hints.read_only_hint or hints.destructive_hint is False, tool.name
        assert tool.output_schema["properties"], tool.name
        for name, schema in tool.input_schema["properties"].items():
            require_both_languages(f"{tool.name}.{name}", schema.get("description", ""))


def require_both_languages(where, *texts):
    for text in texts:
        assert HANGUL.search(text), where
        assert re.search("[a-z]{3}", text), where


def test_resources_and_prompts_are_described_in_both_languages(api):
    async def lists():
        async with Client(StreamableHttpTransport(f"{api.mcp_url}/mcp", auth=api.token)) as session:
            return await session.list_resources(), await session.list_prompts()

    resources, prompts = asyncio.run(lists())
    assert {str(each.uri) for each in resources} == RESOURCES
    for each in (*resources, *prompts):
        require_both_languages(each.name, each.title, each.description)
    assert {str(each.mime_type) for each in resources} == {"text/markdown", "application/json"}
    for argument in (argument for prompt in prompts for argument in prompt.arguments or ()):
        require_both_languages(argument.name, argument.description or "")


def test_status_contains_the_endpoints_and_the_caller(api):
    status = api.call("get_server_status", {})
    assert status["status"] == "ready"
    assert status["endpoints"]["mcp"] == f"{api.mcp_url}/mcp"
    assert status["you"] == {"client_id": "mcp-client", "scopes": ["mcp.access"]}
    assert set(status["checks"].values()) == {"ok"}


def test_a_person_is_masked(api):
    person = api.call("get_user_info", {"person_id": "p_hong"})
    assert person["email"] == "h***@example.com"
    assert person["phone"] == "010-****-5678"
    assert person["department"] == "개발팀"


def test_an_unknown_person_is_not_found_and_personal_data_as_id_is_refused(api):
    assert tool_error(api, "get_user_info", {"person_id": "p_unknown"}).startswith("not_found: ")
    error = tool_error(api, "get_user_info", {"person_id": "hong@example.com"})
    assert error.startswith("personal_data_refused: ")
    assert "hong" not in error


def test_the_owner_can_read_stored_data_with_the_scope_mcp_decrypt(api):
    stored = api.call("store_sensitive_data", {"data": "고객 이메일: customer@company.com", "field": "customer_email"})
    assert stored["encrypted"] is True
    record = api.call("read_sensitive_data", {"record_id": stored["record_id"]}, scope="mcp.access mcp.decrypt")
    assert record["data"] == "고객 이메일: customer@company.com"
    assert record["field"] == "customer_email"


def test_the_error_for_an_invalid_field_name_does_not_contain_its_value(api):
    error = tool_error(api, "store_sensitive_data", {"data": "x", "field": "고객 010-1234-5678"})
    assert "field" in error
    assert "1234" not in error


def test_an_operation_without_personal_data_is_accepted(api):
    accepted = api.call("high_security_operation", {"operation_data": "rotate the signing keys of p_hong's team"})
    assert accepted["status"] == "accepted"
    record = api.call("read_sensitive_data", {"record_id": accepted["operation_id"]}, scope="mcp.access mcp.decrypt")
    assert (record["field"], record["data"]) == ("operation", "rotate the signing keys of p_hong's team")


def test_detection_returns_positions_and_the_masked_text(api):
    text = "홍길동님 hong@example.com"
    report = api.call("test_pii_detection", {"text": text})
    assert report["counts"]["EMAIL"] == 1
    (email,) = [finding for finding in report["findings"] if finding["kind"] == "EMAIL"]
    assert text[email["start"] : email["end"]] == "hong@example.com"
    assert "hong@example.com" not in report["masked_text"]
    assert api.call("test_pii_detection", {"text": "hello"})["contains_pii"] is False


def test_encryption_round_trip_is_bound_to_the_caller(api):
    report = api.call("test_encryption", {"text": "plain"})
    assert (report["round_trip"], report["bound_to_you"]) == (True, True)
    assert report["ciphertext"].startswith("enc:v1:")


def test_the_audit_log_has_pages_without_repetition_and_filters(api):
    for _ in range(4):
        api.call("get_server_status", {})
    only = {"tool_name": "get_server_status"}
    while len(api.call("get_security_audit_log", only)["events"]) < 4:
        time.sleep(0.05)  # events are in the stream shortly after the response
    first = api.call("get_security_audit_log", {"limit": 2, **only})
    second = api.call("get_security_audit_log", {"limit": 2, "next_token": first["next_token"], **only})
    events = first["events"] + second["events"]
    assert len({event["event_id"] for event in events}) == 4
    assert {event["tool_name"] for event in events} == {"get_server_status"}
    assert {event["user_id"] for event in events} == {"mcp-client"}


@pytest.mark.parametrize("tool", ["get_security_audit_log", "generate_security_report"])
def test_only_the_events_of_everyone_require_the_audit_scope(api, tool):
    call = {"name": tool, "arguments": {"whose": "everyone"}}
    response = api.post_mcp(api.token, "2026-07-28", "tools/call", call)
    assert response.status_code == 403
    assert 'scope="mcp.access mcp.audit"' in response.headers["WWW-Authenticate"]
    call = {"name": tool, "arguments": {"whose": "mine"}}
    assert api.post_mcp(api.token, "2026-07-28", "tools/call", call).status_code == 200


def test_the_report_counts_the_events_of_the_trail(api):
    api.call("get_user_info", {"person_id": "p_hong"})
    while not api.call("get_security_audit_log", {"tool_name": "get_user_info"})["events"]:
        time.sleep(0.05)
    report = api.call("generate_security_report", {"since": "2020-01-01T00:00:00Z"})
    assert report["figures"]["by_tool"]["get_user_info"] >= 1
    assert report["figures"]["by_pii_kind"]["EMAIL"] >= 1
    assert "get_user_info" in report["markdown"]
    assert report["figures"]["chain"]["sound"] is True
    assert {key["state"] for key in report["figures"]["keys"]} == {"primary", "published"}
    assert all(len(key["key_id"]) > 4 and "*" not in key["key_id"] for key in report["figures"]["keys"])
    assert api.call("generate_security_report", {"until": "2020-01-01T00:00:00Z"})["figures"]["events"] == 0


def test_every_scenario_except_the_quiet_day_is_detected(api):
    results = api.call("simulate_data_breach_detection", {"scenario": "all"})["played"]
    assert {each["scenario"]: each["detected"] for each in results} == {
        each["scenario"]: each["scenario"] != "quiet_day" for each in results
    }
    assert len(results) == 7


def test_the_example_of_the_test_token_works(api):
    token = api.call("create_test_token", {"scope": "mcp.access mcp.decrypt"})
    assert (token["scope"], token["token_type"], token["expires_in"]) == ("mcp.access mcp.decrypt", "Bearer", 1800)
    completed = subprocess.run(shlex.split(token["example"]), capture_output=True, text=True, check=True)
    assert completed.stdout == GREETING
    status = {"name": "read_sensitive_data", "arguments": {"record_id": "record_unknown"}}
    assert api.post_mcp(token["access_token"], "2026-07-28", "tools/call", status).status_code == 200


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        ("everything", "token_refused: auth-service refused: invalid_scope"),
        ("mcp.access mcp.audit", "token_refused: auth-service refused: invalid_scope"),
        ("mcp.access&grant_type=password", "scope"),
        ("", "scope"),
    ],
)
def test_a_test_token_is_refused_for_other_scopes_than_the_demo_client_has(api, scope, message):
    assert tool_error(api, "create_test_token", {"scope": scope}).startswith(message)


def test_a_test_token_has_the_scope_mcp_access_by_default(api):
    assert api.call("create_test_token", {})["scope"] == "mcp.access"


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
def test_both_protocol_versions_return_the_same_structured_content(api, version):
    response = api.post_mcp(
        api.token, version, "tools/call", {"name": "get_user_info", "arguments": {"person_id": "p_alice"}}
    )
    text = (
        response.text if response.headers["content-type"] == "application/json" else response.text.split("data: ", 1)[1]
    )
    assert json.loads(text)["result"]["structuredContent"]["email"] == "a***@example.com"


def test_only_calls_with_progress_are_answered_as_a_stream(api):
    arguments = {"name": "get_server_status", "arguments": {}}
    plain = api.post_mcp(api.token, "2026-07-28", "tools/call", arguments)
    assert plain.headers["content-type"] == "application/json"

    notifications = []

    async def note(progress, total, message):
        notifications.append((progress, total, message))

    async def simulate():
        async with Client(StreamableHttpTransport(f"{api.mcp_url}/mcp", auth=api.token)) as session:
            await session.call_tool("simulate_data_breach_detection", {"scenario": "all"}, progress_handler=note)

    asyncio.run(simulate())
    assert [progress for progress, _, _ in notifications] == list(range(7))


def test_a_report_sends_the_number_of_events_as_progress(api):
    token, notifications = api.token, []

    async def note(progress, total, message):
        notifications.append((progress, total, message))

    async def report():
        async with Client(StreamableHttpTransport(f"{api.mcp_url}/mcp", auth=token)) as session:
            await session.call_tool("generate_security_report", {}, progress_handler=note)

    asyncio.run(report())
    (_, found, before), (counted, total, after) = notifications
    assert (before, after) == ("events found", "events counted")
    assert 0 <= found <= counted == total


def read(api, uri):
    async def contents():
        async with Client(StreamableHttpTransport(f"{api.mcp_url}/mcp", auth=api.token)) as session:
            return (await session.read_resource(uri))[0].text

    return asyncio.run(contents())


def test_resources_contain_policy_guide_and_the_data_of_the_caller(api):
    stored = api.call("store_sensitive_data", {"data": "x", "field": "note"})
    policy = read(api, "policy://tools")
    assert "| `store_sensitive_data` | encrypt | encrypt | mcp.access |" in policy
    assert "| `read_sensitive_data` | observe | observe | mcp.access mcp.decrypt |" in policy
    audit_scopes = "mcp.access; mcp.audit with whose=everyone"
    assert f"| `get_security_audit_log` | mask | mask | {audit_scopes} |" in policy
    assert f"| `generate_security_report` | mask | mask | {audit_scopes} |" in policy
    guide = read(api, "guide://tools")
    assert all(f"`{tool}`" in guide for tool in TOOLS - {"create_test_token", "test_encryption"})
    assert stored["record_id"] in [record["record_id"] for record in json.loads(read(api, "records://mine"))]
    assert "p_hong" in json.loads(read(api, "directory://people"))["person_ids"]
    assert {event["user_id"] for event in json.loads(read(api, "audit://mine"))} == {"mcp-client"}


def test_prompts_are_listed_and_rendered(api):
    async def prompts():
        async with Client(StreamableHttpTransport(f"{api.mcp_url}/mcp", auth=api.token)) as session:
            names = [prompt.name for prompt in await session.list_prompts()]
            prompt = await session.get_prompt("store_safely", {"field": "customer_email"})
            return names, prompt.messages[0].content.text

    names, text = asyncio.run(prompts())
    assert names == ["review_my_activity", "store_safely"]
    assert "customer_email" in text


def test_lists_can_be_cached_only_for_their_caller(api):
    listed = api.post_mcp(api.token, "2026-07-28", "tools/list", {}).json()["result"]
    assert (listed["ttlMs"], listed["cacheScope"]) == (60_000, "private")


@pytest.mark.parametrize("params", [{"name": {"a": "hong@example.com"}}, {"name": 7}, {}])
def test_a_malformed_call_gets_an_error_without_a_traceback_in_the_log(api, stack, params):
    headers = {
        "authorization": f"Bearer {api.token}",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25",
    }
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    response = api.http.post(f"{api.mcp_url}/mcp", headers=headers, json=call)
    (line,) = [line for line in response.text.splitlines() if line.startswith("data: ")]
    assert json.loads(line.removeprefix("data: "))["error"]["code"] == -32602
    assert "Traceback" not in (stack.state / "logs" / "mcp-resource-service.log").read_text()


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_the_earliest_possible_time_selects_all_events(api, since):
    api.call("get_server_status", {})
    deadline = time.monotonic() + 60
    while not api.call("get_security_audit_log", {"since": since, "tool_name": "get_server_status"})["events"]:
        assert time.monotonic() < deadline
