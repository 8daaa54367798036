"""Challenges and metadata: RFC 6750, RFC 9728, and items 146 to 156 of docs/bad-input.md."""

import json
import re

import pytest

from security_common.guard import GuardPolicy
from security_common.settings import SecuritySettings

pytestmark = pytest.mark.anyio
METADATA = "http://localhost:8082/.well-known/oauth-protected-resource/mcp"


async def test_item_146_challenge_for_a_missing_token_has_no_error_code(guard):
    guarded = await guard()
    response = await guarded.http.get(f"{guarded.url}/hello")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == f'Bearer scope="mcp.access", resource_metadata="{METADATA}"'
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert body["authorization_servers"] == [guarded.issuer.url]
    assert body["resource_metadata"] == METADATA
    assert body["documentation"] == "https://docs.example"
    assert "hint" in body
    assert guarded.issuer.requests.total() == 0


async def test_a_valid_token_reaches_the_application_with_its_caller(guard):
    guarded = await guard()
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = guarded.bearer() | {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    response = await guarded.http.post(f"{guarded.url}/anything", content=b"as it is", headers=headers)
    assert (response.status_code, response.content) == (200, b"as it is")
    assert response.headers["x-caller"] == f"u_tester 127.0.0.1 {trace}"


async def test_item_147_challenge_for_an_invalid_token_explains_the_reason(guard):
    guarded = await guard()
    response = await guarded.http.get(guarded.url, headers=guarded.bearer(aud="http://localhost:8082/"))
    assert response.status_code == 401
    challenge = response.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="invalid_token", error_description="')
    assert f'resource_metadata="{METADATA}"' in challenge
    assert "resource=http://localhost:8082/mcp" in response.json()["hint"]


@pytest.mark.parametrize(
    ("headers", "query", "status", "error"),
    [
        ([], "?access_token={token}", 401, "missing_token"),
        ([("Authorization", "Bearer {token}")], "?access_token={token}", 400, "invalid_request"),
        ([("Authorization", "Bearer {token}")] * 2, "", 400, "invalid_request"),
        ([("Authorization", "Basic dGVzdDp0ZXN0")], "", 401, "missing_token"),
        ([("Authorization", "Bearer")], "", 401, "invalid_token"),
        ([("Authorization", "Bearer a b")], "", 401, "invalid_token"),
        ([("Authorization", "Bearer " + "a" * 9000)], "", 401, "invalid_token"),
    ],
    ids=["149 query", "149 both", "151 two headers", "152 Basic", "152 no token", "152 two words", "153 too long"],
)
async def test_items_149_to_153_only_a_single_authorization_header_is_accepted(guard, headers, query, status, error):
    guarded = await guard()
    token = guarded.issuer.token()
    sent = [(name, value.replace("{token}", token)) for name, value in headers]
    response = await guarded.http.get(f"{guarded.url}/{query.replace('{token}', token)}", headers=sent)
    assert (response.status_code, response.json()["error"]) == (status, error)


async def test_item_150_a_token_in_a_form_is_ignored(guard):
    guarded = await guard()
    response = await guarded.http.post(guarded.url, data={"access_token": guarded.issuer.token()})
    assert (response.status_code, response.json()["error"]) == (401, "missing_token")


@pytest.mark.parametrize("claim", ["aud", "iss", "sub", "scope", "client_id", "jti", "exp"])
async def test_item_156_claims_cannot_inject_into_the_challenge(guard, claim):
    guarded = await guard()
    planted = 'x", realm="evil\r\nset-cookie: a=b \\" \ud55c'
    response = await guarded.http.get(guarded.url, headers=guarded.bearer(**{claim: planted}))
    challenge = response.headers.get("www-authenticate", "")
    assert response.status_code in {200, 401, 403}
    assert re.fullmatch(r'(Bearer( \w+="([^"\\]|\\["\\])*",?)+)?', challenge)
    assert "evil" not in re.sub(r'"([^"\\]|\\["\\])*"', "", challenge)
    assert "set-cookie" not in response.headers


async def test_item_152_the_scheme_is_case_insensitive(guard):
    guarded = await guard()
    response = await guarded.http.get(guarded.url, headers={"authorization": f"bearer {guarded.issuer.token()}"})
    assert response.status_code == 200


async def test_item_148_a_missing_scope_is_403_and_is_named(guard):
    guarded = await guard()
    response = await guarded.http.get(guarded.url, headers=guarded.bearer(scope="openid"))
    assert response.status_code == 403
    assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
    assert 'scope="mcp.access"' in response.headers["www-authenticate"]


async def test_403_for_a_tool_call_names_every_scope_it_needs(guard):
    guarded = await guard(tool_scopes={"read": frozenset({"mcp.decrypt"}), "audit": frozenset({"mcp.audit"})})
    calls = [{"method": "tools/call", "params": {"name": name}} for name in ("read", "audit", "other")]
    one = await guarded.http.post(f"{guarded.url}/mcp", json=calls[0], headers=guarded.bearer())
    assert one.status_code == 403
    assert 'scope="mcp.access mcp.decrypt"' in one.headers["www-authenticate"]
    batch = await guarded.http.post(f"{guarded.url}/mcp", json=calls, headers=guarded.bearer())
    assert 'scope="mcp.access mcp.audit mcp.decrypt"' in batch.headers["www-authenticate"]
    allowed = guarded.bearer(scope="mcp.access mcp.decrypt")
    assert (await guarded.http.post(f"{guarded.url}/mcp", json=calls[0], headers=allowed)).status_code == 200
    assert (await guarded.http.post(f"{guarded.url}/mcp", json=calls[2], headers=guarded.bearer())).status_code == 200


async def test_403_for_a_missing_resource_scope_includes_the_scopes_of_the_named_tool(guard):
    """Otherwise the client would ask its user twice. The tool is read from the Mcp-Name header, not from the body."""
    guarded = await guard(tool_scopes={"read": frozenset({"mcp.decrypt"})})
    call = {"method": "tools/call", "params": {"name": "read"}}
    for headers, scope in (({"mcp-name": "read"}, "mcp.access mcp.decrypt"), ({}, "mcp.access")):
        refused = await guarded.http.post(
            f"{guarded.url}/mcp", json=call, headers=guarded.bearer(scope="openid") | headers
        )
        assert refused.status_code == 403
        assert f'scope="{scope}"' in refused.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("resource_url", "path", "status"),
    [
        ("http://localhost:8082/mcp", "/mcp", 403),
        ("http://localhost:8082/mcp", "/mcp/", 403),
        ("http://localhost:8082/mcp", "/%6Dcp", 403),
        ("http://localhost:8082/mcp", "/mcp%0A", 404),
        ("http://localhost:8082/mcp", "/mcp/%0A", 404),
        ("http://localhost:8082/mcp", "/other", 200),
        ("http://localhost:8082", "/", 403),
    ],
)
async def test_tool_scopes_are_checked_at_every_form_of_the_resource_path(guard, resource_url, path, status):
    guarded = await guard(resource_url=resource_url, tool_scopes={"read": frozenset({"mcp.decrypt"})})
    call = {"method": "tools/call", "params": {"name": "read"}}
    response = await guarded.http.post(guarded.url + path, json=call, headers=guarded.bearer())
    assert response.status_code == status


async def test_a_body_that_is_not_json_gets_a_json_rpc_error(guard):
    guarded = await guard(tool_scopes={"read": frozenset({"mcp.decrypt"})})
    response = await guarded.http.post(f"{guarded.url}/mcp", content=b'{"a":1,"a":2}', headers=guarded.bearer())
    assert (response.status_code, response.json()["error"]["code"]) == (400, -32700)


@pytest.mark.parametrize(("depth", "status"), [(64, 200), (65, 400), (10_000, 400)])
async def test_a_body_may_be_64_levels_deep(guard, depth, status):
    guarded = await guard(tool_scopes={"read": frozenset({"mcp.decrypt"})})
    content = b'{"params":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    response = await guarded.http.post(f"{guarded.url}/mcp", content=content, headers=guarded.bearer())
    assert response.status_code == status
    assert status == 200 or response.json()["error"] == {
        "code": -32700,
        "message": "the body must be strict JSON in UTF-8: no repeated members, no NaN, at most 64 levels "
        "and 200000 values",
    }


@pytest.mark.parametrize("message_id", ["null", "1.5", "1.0", "1e3", "{}", "[]", "true", "false"])
@pytest.mark.parametrize("form", ["%s", "[%s]", '[{"method":"ping","id":1},%s]'])
@pytest.mark.parametrize("tool_scopes", [{}, {"read": frozenset({"mcp.decrypt"})}])
async def test_the_id_of_a_request_is_a_string_or_an_integer(guard, tool_scopes, form, message_id):
    guarded = await guard(tool_scopes=tool_scopes)
    for method in ("tools/call", "ping"):
        message = f'{{"jsonrpc":"2.0","method":"{method}","params":{{"name":"other"}},"id":{message_id}}}'
        response = await guarded.http.post(f"{guarded.url}/mcp", content=form % message, headers=guarded.bearer())
        assert response.status_code == 400
        assert response.json() == {
            "jsonrpc": "2.0",
            "id": None,
            "error": {"code": -32600, "message": "the id of a JSON-RPC request must be a string or an integer"},
        }


@pytest.mark.parametrize(
    "body",
    [
        '{"method":"ping","id":7}',
        '{"method":"ping","id":""}',
        '{"method":"notifications/initialized"}',
        '{"method":"ping","id":1,"params":{"id":null}}',
        '{"id":null,"error":{"code":-32700,"message":"a response"}}',
    ],
)
async def test_messages_with_a_valid_id_or_none_reach_the_application(guard, body):
    guarded = await guard()
    response = await guarded.http.post(f"{guarded.url}/mcp", content=body, headers=guarded.bearer())
    assert (response.status_code, response.text) == (200, body)


async def test_item_154_unavailable_keys_are_503_and_not_401(guard):
    guarded = await guard()
    headers = guarded.bearer()
    await guarded.issuer.stop()
    response = await guarded.http.get(guarded.url, headers=headers)
    assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")
    assert int(response.headers["retry-after"]) > 0


async def test_metadata_is_served_without_a_token_at_both_paths(guard):
    guarded = await guard()
    for path in ("", "/mcp"):
        response = await guarded.http.get(f"{guarded.url}/.well-known/oauth-protected-resource{path}")
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "*"
        document = response.json()
        assert document["resource"] == "http://localhost:8082/mcp"
        assert document["authorization_servers"] == [guarded.issuer.url]
        assert document["scopes_supported"] == ["mcp.access"]
    etag = response.headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        same = await guarded.http.get(response.url, headers={"if-none-match": known})
        assert (same.status_code, same.content) == (304, b"")
    other = await guarded.http.get(response.url, headers={"if-none-match": '"other"'})
    assert other.status_code == 200


async def test_metadata_is_read_only_and_has_no_empty_list(guard):
    guarded = await guard(scopes=())
    url = f"{guarded.url}/.well-known/oauth-protected-resource"
    assert "scopes_supported" not in (await guarded.http.get(url)).json()
    posted = await guarded.http.post(url)
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_only_open_paths_need_no_token(guard):
    guarded = await guard(policy=GuardPolicy(open_prefixes=("/audit",)))
    statuses = {
        path: (await guarded.http.get(guarded.url + path)).status_code
        for path in ("/livez", "/readyz", "/audit", "/audit/events", "/auditor", "/livez/", "/")
    }
    assert statuses == {
        "/livez": 200,
        "/readyz": 200,
        "/audit": 200,
        "/audit/events": 200,
        "/auditor": 401,
        "/livez/": 401,
        "/": 401,
    }


async def test_a_refusal_is_recorded_without_the_token(guard, open_one, settings: SecuritySettings):
    guarded = await guard(journal=await open_one())
    token = guarded.issuer.token(scope="openid")
    await guarded.http.get(guarded.url, headers={"authorization": f"Bearer {token}"})
    lines = (settings.audit_dir / "tests" / "0" / "security_audit.log").read_text("utf-8").splitlines()
    event = json.loads(lines[-1])
    assert (event["event_type"], event["action_taken"]) == ("access_refused", "refused")
    assert (event["reason"], event["user_id"]) == ("insufficient_scope", "u_tester")
    assert token not in "".join(lines)


async def test_a_refused_call_is_recorded_with_a_known_tool_name_only(guard, open_one, settings: SecuritySettings):
    """An unknown tool name is text of the client and may contain personal data."""
    guarded = await guard(journal=await open_one(), tool_scopes={"read": frozenset({"mcp.decrypt"})})
    names = ("hong@example.com", "read")
    calls = [{"method": "tools/call", "params": {"name": name}} for name in names]
    for scope, body in (("mcp.access", calls), ("openid", calls[0])):
        response = await guarded.http.post(f"{guarded.url}/mcp", json=body, headers=guarded.bearer(scope=scope))
        assert response.status_code == 403
    text = (settings.audit_dir / "tests" / "0" / "security_audit.log").read_text("utf-8")
    assert "hong@" not in text
    events = [json.loads(line) for line in text.splitlines()]
    assert [event["tool_name"] for event in events if event["event_type"] == "access_refused"] == ["read", None]


async def test_a_401_stays_a_401_while_the_journal_is_unavailable(guard, open_one):
    journal = await open_one()
    await journal.stop()
    guarded = await guard(journal=journal)
    assert (await guarded.http.get(guarded.url)).status_code == 401


async def test_a_websocket_handshake_is_refused(guard):
    guarded = await guard()
    headers = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    response = await guarded.http.get(guarded.url, headers=headers | guarded.bearer())
    assert response.status_code != 101
    assert response.status_code >= 400
