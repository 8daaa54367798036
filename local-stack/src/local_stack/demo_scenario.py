"""The demo scenario: one step for each documented property of the product. `make demo` runs it, and so do the tests."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx2
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from joserfc import jwt
from joserfc.jwk import KeySet

__all__ = ["PERSON", "STEPS", "MachineClient", "ServicesApi", "StepResult", "expect", "run_scenario"]

CLIENT_ID, CLIENT_SECRET = "mcp-client", "secret"  # the demo client, which exists on loopback only
GREETING = "MCP OAuth2 데모에서 안녕하세요!"
PERSON = "홍길동님 (hong@example.com, 010-1234-5678)"


@dataclass(frozen=True, slots=True)
class StepResult:
    """One line of the demo: the property, whether it holds, and if not, why."""

    text: str
    passed: bool
    detail: str = ""


class MachineClient:
    """A client that uses the client_credentials grant; by default the demo client."""

    def __init__(
        self, auth_url: str, http: httpx2.Client, credentials: tuple[str, str] = (CLIENT_ID, CLIENT_SECRET)
    ) -> None:
        self._endpoint = f"{auth_url}/oauth2/token"
        self._http = http
        self._credentials = credentials

    def request_token(self, **changes: str) -> httpx2.Response:
        """Sends the token request of the README, with changed parameters."""
        client_id, secret = self._credentials
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        return self._http.post(self._endpoint, data={**form, "scope": "mcp.access", **changes})

    def token(self, scope: str = "mcp.access") -> str:
        answer = self.request_token(scope=scope)
        expect(answer.is_success, f"no token: {answer.status_code} {answer.text}")
        return str(answer.json()["access_token"])


@dataclass
class ServicesApi:
    """The running services as a client uses them: addresses, connection, credentials, and results of earlier steps."""

    auth_url: str
    mcp_url: str
    http: httpx2.Client
    credentials: tuple[str, str] = (CLIENT_ID, CLIENT_SECRET)
    results: dict[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def client(self) -> MachineClient:
        return MachineClient(self.auth_url, self.http, self.credentials)

    @cached_property
    def token(self) -> str:
        return self.client.token()

    def get(self, path: str, token: str | None = None) -> httpx2.Response:
        """Sends a GET request to the resource service."""
        return self.http.get(f"{self.mcp_url}{path}", headers={"Authorization": f"Bearer {token}"} if token else {})

    def call(self, tool: str, arguments: dict[str, Any], *, scope: str = "mcp.access") -> dict[str, Any]:
        """Calls a tool through FastMCP's client and returns its structured result."""
        return asyncio.run(self._call(tool, arguments, self.client.token(scope)))

    async def _call(self, tool: str, arguments: dict[str, Any], token: str) -> dict[str, Any]:
        async with Client(StreamableHttpTransport(f"{self.mcp_url}/mcp", auth=token)) as session:
            result = await session.call_tool(tool, arguments)
        return dict(result.structured_content or {})

    def list_tools(self) -> list[str]:
        async def names() -> list[str]:
            async with Client(StreamableHttpTransport(f"{self.mcp_url}/mcp", auth=self.token)) as session:
                return [tool.name for tool in await session.list_tools()]

        return asyncio.run(names())

    def post_mcp(self, token: str, version: str, method: str, parameters: dict[str, Any]) -> httpx2.Response:
        """Sends one JSON-RPC request without an MCP library, in the given protocol version."""
        headers, body = mcp_request(token, version, method, parameters)
        return self.http.post(f"{self.mcp_url}/mcp", content=body, headers=headers)


def mcp_request(token: str, version: str, method: str, parameters: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """Headers and body of a JSON-RPC request in the given protocol version."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": version,
    }
    if version >= "2026-07-28":
        headers |= {"Mcp-Method": method} | ({"Mcp-Name": parameters["name"]} if "name" in parameters else {})
        names = {"protocolVersion": version, "clientInfo": {"name": "demo", "version": "1"}, "clientCapabilities": {}}
        parameters = {
            **parameters,
            "_meta": {f"io.modelcontextprotocol/{name}": value for name, value in names.items()},
        }
    return headers, json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()


def expect(condition: object, detail: object = "") -> None:
    """Raises AssertionError with the detail, even if Python runs with assertions disabled."""
    if not condition:
        raise AssertionError(str(detail))


def challenges_without_a_token(api: ServicesApi) -> None:
    """Without a token, / and /hello answer 401 and name where to get one"""
    for path in ("/", "/hello"):
        answer = api.get(path)
        challenge = answer.headers.get("WWW-Authenticate", "")
        expect(answer.status_code == 401, answer.status_code)
        expect(challenge.startswith("Bearer "), challenge)
        expect(f'resource_metadata="{api.mcp_url}/.well-known/oauth-protected-resource' in challenge, challenge)
        expect('scope="mcp.access"' in challenge and "error=" not in challenge, challenge)
        expect("get a token from one of its authorization servers" in answer.json()["hint"], answer.text)


def points_from_issuer_to_resource(api: ServicesApi) -> None:
    """The root of auth-service answers 401 and points to the MCP server"""
    answer = api.http.get(f"{api.auth_url}/")
    expect(answer.status_code == 401, answer.status_code)
    expect(f"{api.mcp_url}/mcp" in answer.text, answer.text)


def issues_a_token(api: ServicesApi) -> None:
    """The demo client gets a token, by form and by HTTP Basic"""
    basic = (CLIENT_ID, CLIENT_SECRET)
    form = {"grant_type": "client_credentials", "scope": "mcp.access"}
    for answer in (api.client.request_token(), api.http.post(f"{api.auth_url}/oauth2/token", data=form, auth=basic)):
        body = answer.json()
        expect(answer.status_code == 200, answer.text)
        expect((body["token_type"], body["scope"]) == ("Bearer", "mcp.access"), body["scope"])
        expect(body["expires_in"] > 0, body["expires_in"])
        expect("no-store" in answer.headers["Cache-Control"], answer.headers)


def hides_which_credential_was_wrong(api: ServicesApi) -> None:
    """A wrong secret and an unknown client get exactly the same 401"""
    wrong, unknown = (
        api.client.request_token(client_secret=CLIENT_SECRET[::-1]),
        api.client.request_token(client_id="nobody"),
    )
    expect(wrong.status_code == unknown.status_code == 401, (wrong.status_code, unknown.status_code))
    expect(wrong.content == unknown.content and wrong.json()["error"] == "invalid_client", wrong.text)


def explains_bad_requests(api: ServicesApi) -> None:
    """A bad token request gets 400, the right error code and a helpful description"""
    endpoint = f"{api.auth_url}/oauth2/token"
    cases = {
        "unsupported_grant_type": api.client.request_token(grant_type="password"),
        "invalid_scope": api.client.request_token(scope="everything"),
        "invalid_target": api.client.request_token(resource="https://elsewhere.example/mcp"),
        "invalid_request": api.http.post(endpoint, json={"grant_type": "client_credentials"}),
    }
    for code, answer in cases.items():
        expect((answer.status_code, answer.json()["error"]) == (400, code), answer.text)
        expect(len(answer.json()["error_description"]) > 10, answer.text)


def publishes_its_metadata(api: ServicesApi) -> None:
    """Both discovery documents are equal, and the key set contains no private member"""
    openid = api.http.get(f"{api.auth_url}/.well-known/openid-configuration").json()
    oauth = api.http.get(f"{api.auth_url}/.well-known/oauth-authorization-server").json()
    expect(openid == oauth and openid["issuer"] == api.auth_url, openid.get("issuer"))
    expect(openid["authorization_endpoint"] and openid["code_challenge_methods_supported"] == ["S256"])
    keys = api.http.get(f"{api.auth_url}/.well-known/jwks.json")
    expect(keys.headers.get("ETag"), keys.headers)
    for key in keys.json()["keys"]:
        expect(not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key) and key["alg"] == "RS256", set(key))


def issues_verifiable_tokens(api: ServicesApi) -> None:
    """The token can be verified with the published keys and has the claims of RFC 9068"""
    jwks_uri = api.http.get(f"{api.auth_url}/.well-known/openid-configuration").json()["jwks_uri"]
    token = jwt.decode(api.token, KeySet.import_key_set(api.http.get(jwks_uri).json()), algorithms=["RS256"])
    expect((token.header["typ"], token.header["alg"]) == ("at+jwt", "RS256"), token.header)
    claims = token.claims
    expect(claims["iss"] == api.auth_url and claims["sub"] == claims["client_id"] == CLIENT_ID, claims)
    expect(set(claims["aud"]) == {f"{api.mcp_url}/mcp", CLIENT_ID}, claims["aud"])
    expect(claims["exp"] > claims["iat"] and claims["jti"] and claims["scope"] == "mcp.access", claims)


def greets_with_a_token(api: ServicesApi) -> None:
    """With the token, /hello greets and / describes the server"""
    expect(api.get("/hello", api.token).text == GREETING)
    information = api.get("/", api.token)
    expect(information.status_code == 200 and f"{api.mcp_url}/mcp" in information.text, information.text)


def refuses_a_damaged_token(api: ServicesApi) -> None:
    """A damaged token and one with alg none get 401 invalid_token"""
    header, payload, signature = api.token.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "at+jwt"}).encode()).decode().rstrip("=")
    for token in (f"{header}.{payload}.{signature[::-1]}", f"{none}.{payload}."):
        answer = api.get("/hello", token)
        expect(answer.status_code == 401, answer.status_code)
        expect('error="invalid_token"' in answer.headers["WWW-Authenticate"], answer.headers)


def lists_its_tools(api: ServicesApi) -> None:
    """An MCP client lists the tools"""
    missing = {"get_server_status", "get_user_info", "store_sensitive_data", "test_pii_detection"} - set(
        api.list_tools()
    )
    expect(not missing, missing)


def supports_both_protocol_versions(api: ServicesApi) -> None:
    """The MCP endpoint supports the protocol versions 2026-07-28 and 2025-11-25"""
    for version in ("2026-07-28", "2025-11-25"):
        arguments = {"name": "test_pii_detection", "arguments": {"text": PERSON}}
        answer = api.post_mcp(api.token, version, "tools/call", arguments)
        expect(answer.status_code == 200 and "010-****-5678" in answer.text, f"{version}: {answer.text}")


def masks_personal_data(api: ServicesApi) -> None:
    """Korean and English personal data is found and masked"""
    masked = api.call("test_pii_detection", {"text": PERSON})["masked_text"]
    expect("h***@example.com" in masked and "010-****-5678" in masked and "홍길동" not in masked, masked)


def stores_encrypted(api: ServicesApi) -> None:
    """A value is stored encrypted; the answer contains only its record id"""
    record = api.call("store_sensitive_data", {"data": PERSON, "field": "customer"})
    api.results["record"] = record["record_id"]
    expect(PERSON not in json.dumps(record, ensure_ascii=False), record)


def requires_step_up(api: ServicesApi) -> None:
    """Reading it in plaintext needs mcp.decrypt: 403 names the scope, and a token with it gets the value"""
    arguments = {"record_id": api.results["record"]}
    call = {"name": "read_sensitive_data", "arguments": arguments}
    refused = api.post_mcp(api.token, "2026-07-28", "tools/call", call)
    challenge = refused.headers.get("WWW-Authenticate", "")
    expect(refused.status_code == 403 and 'error="insufficient_scope"' in challenge, refused.status_code)
    expect("mcp.decrypt" in challenge, challenge)
    clear = api.call("read_sensitive_data", arguments, scope="mcp.access mcp.decrypt")
    expect(clear["data"] == PERSON)


def rejects_personal_data(api: ServicesApi) -> None:
    """A high-security operation refuses personal data and names its kind, but not its value"""
    call = {"name": "high_security_operation", "arguments": {"operation_data": f"delete the account of {PERSON}"}}
    answer = api.post_mcp(api.token, "2026-07-28", "tools/call", call)
    expect("EMAIL" in answer.text and "hong@example.com" not in answer.text, answer.text)


def records_every_call(api: ServicesApi) -> None:
    """Every call and refusal is in the audit trail, without personal data"""
    expected = ("store_sensitive_data", "executed_with_encryption", "rejected", "insufficient_scope")
    trail = ""
    for _ in range(30):  # an event is on disk before the response is sent, and in the stream shortly after
        trail = json.dumps(api.call("get_security_audit_log", {"limit": 100}), ensure_ascii=False)
        if all(word in trail for word in expected):
            break
    for word in expected:
        expect(word in trail, f"{word} is not in the audit trail")
    expect(
        "hong@example.com" not in trail and "010-1234-5678" not in trail and "eyJ" not in trail,
        "the audit trail contains a value",
    )


def reports_on_the_audit_trail(api: ServicesApi) -> None:
    """The security report is computed from the audit trail"""
    report = api.call("generate_security_report", {})
    expect("store_sensitive_data" in report["markdown"], report["markdown"])


STEPS: tuple[Callable[[ServicesApi], None], ...] = (
    challenges_without_a_token,
    points_from_issuer_to_resource,
    issues_a_token,
    hides_which_credential_was_wrong,
    explains_bad_requests,
    publishes_its_metadata,
    issues_verifiable_tokens,
    greets_with_a_token,
    refuses_a_damaged_token,
    lists_its_tools,
    supports_both_protocol_versions,
    masks_personal_data,
    stores_encrypted,
    requires_step_up,
    rejects_personal_data,
    records_every_call,
    reports_on_the_audit_trail,
)


def run_scenario(auth_url: str, mcp_url: str) -> Iterator[StepResult]:
    """Runs every step in order, even after a failure. The docstring of a step is its description."""
    with httpx2.Client(timeout=20) as http:
        api = ServicesApi(auth_url, mcp_url, http)
        for step in STEPS:
            text = (step.__doc__ or step.__name__).strip()
            try:
                step(api)
            except Exception as error:  # noqa: BLE001 - any exception is a failure of that step
                yield StepResult(text, passed=False, detail=f"{type(error).__name__}: {error}"[:300])
            else:
                yield StepResult(text, passed=True)
