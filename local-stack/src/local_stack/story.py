"""The story: what someone who has just started the stack can see hold. `make demo` plays it, and so do the tests."""

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

__all__ = ["PERSON", "STEPS", "MachineClient", "StepResult", "World", "expect", "tell_story"]

CLIENT_ID, CLIENT_SECRET = "mcp-client", "secret"  # the demo client, which exists on loopback only
GREETING = "MCP OAuth2 데모에서 안녕하세요!"
PERSON = "홍길동님 (hong@example.com, 010-1234-5678)"


@dataclass(frozen=True, slots=True)
class StepResult:
    """One line of the demo: what should hold, whether it does, and if not, why."""

    text: str
    held: bool
    detail: str = ""


class MachineClient:
    """A client that acts for itself, at the token endpoint; by default the demo's."""

    def __init__(
        self, auth_url: str, http: httpx2.Client, credentials: tuple[str, str] = (CLIENT_ID, CLIENT_SECRET)
    ) -> None:
        self._endpoint = f"{auth_url}/oauth2/token"
        self._http = http
        self._credentials = credentials

    def ask(self, **changes: str) -> httpx2.Response:
        """A token request as the README has it, with changes."""
        client_id, secret = self._credentials
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        return self._http.post(self._endpoint, data={**form, "scope": "mcp.access", **changes})

    def token(self, scope: str = "mcp.access") -> str:
        answer = self.ask(scope=scope)
        expect(answer.is_success, f"no token: {answer.status_code} {answer.text}")
        return str(answer.json()["access_token"])


@dataclass
class World:
    """The addresses, a connection, who is calling, and what earlier steps have got."""

    auth_url: str
    mcp_url: str
    http: httpx2.Client
    credentials: tuple[str, str] = (CLIENT_ID, CLIENT_SECRET)
    seen: dict[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def client(self) -> MachineClient:
        return MachineClient(self.auth_url, self.http, self.credentials)

    @cached_property
    def token(self) -> str:
        return self.client.token()

    def get(self, path: str, token: str | None = None) -> httpx2.Response:
        """GET at the resource service."""
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
        """One JSON-RPC request without any MCP library, in either protocol era."""
        headers, body = mcp_request(token, version, method, parameters)
        return self.http.post(f"{self.mcp_url}/mcp", content=body, headers=headers)


def mcp_request(token: str, version: str, method: str, parameters: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """Headers and body of a JSON-RPC request in either protocol era."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": version,
    }
    if version >= "2026-07-28":
        headers |= {"Mcp-Method": method} | ({"Mcp-Name": parameters["name"]} if "name" in parameters else {})
        names = {"protocolVersion": version, "clientInfo": {"name": "story", "version": "1"}, "clientCapabilities": {}}
        parameters = {
            **parameters,
            "_meta": {f"io.modelcontextprotocol/{name}": value for name, value in names.items()},
        }
    return headers, json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()


def expect(holds: object, detail: object = "") -> None:
    """Raises AssertionError with the detail, also where Python runs without assertions."""
    if not holds:
        raise AssertionError(str(detail))


def challenges_without_a_token(world: World) -> None:
    """Without a token, / and /hello answer 401 and say where to get one"""
    for path in ("/", "/hello"):
        answer = world.get(path)
        challenge = answer.headers.get("WWW-Authenticate", "")
        expect(answer.status_code == 401, answer.status_code)
        expect(challenge.startswith("Bearer "), challenge)
        expect(f'resource_metadata="{world.mcp_url}/.well-known/oauth-protected-resource' in challenge, challenge)
        expect('scope="mcp.access"' in challenge and "error=" not in challenge, challenge)
        expect("ask one of its authorization servers for a token" in answer.json()["hint"], answer.text)


def points_on_from_the_issuer(world: World) -> None:
    """The root of auth-service answers 401 as in the demo, and points to the MCP server"""
    answer = world.http.get(f"{world.auth_url}/")
    expect(answer.status_code == 401, answer.status_code)
    expect(f"{world.mcp_url}/mcp" in answer.text, answer.text)


def issues_a_token(world: World) -> None:
    """The demo client gets a token, by form and by HTTP Basic"""
    basic = (CLIENT_ID, CLIENT_SECRET)
    form = {"grant_type": "client_credentials", "scope": "mcp.access"}
    for answer in (world.client.ask(), world.http.post(f"{world.auth_url}/oauth2/token", data=form, auth=basic)):
        body = answer.json()
        expect(answer.status_code == 200, answer.text)
        expect((body["token_type"], body["scope"]) == ("Bearer", "mcp.access"), body["scope"])
        expect(body["expires_in"] > 0, body["expires_in"])
        expect("no-store" in answer.headers["Cache-Control"], answer.headers)


def tells_wrong_secrets_nothing(world: World) -> None:
    """A wrong secret and an unknown client get the same 401, byte for byte"""
    wrong, unknown = world.client.ask(client_secret=CLIENT_SECRET[::-1]), world.client.ask(client_id="nobody")
    expect(wrong.status_code == unknown.status_code == 401, (wrong.status_code, unknown.status_code))
    expect(wrong.content == unknown.content and wrong.json()["error"] == "invalid_client", wrong.text)


def explains_bad_requests(world: World) -> None:
    """A bad token request gets 400, the right code and a description that helps"""
    endpoint = f"{world.auth_url}/oauth2/token"
    cases = {
        "unsupported_grant_type": world.client.ask(grant_type="password"),
        "invalid_scope": world.client.ask(scope="everything"),
        "invalid_target": world.client.ask(resource="https://elsewhere.example/mcp"),
        "invalid_request": world.http.post(endpoint, json={"grant_type": "client_credentials"}),
    }
    for code, answer in cases.items():
        expect((answer.status_code, answer.json()["error"]) == (400, code), answer.text)
        expect(len(answer.json()["error_description"]) > 10, answer.text)


def publishes_its_metadata(world: World) -> None:
    """Discovery says the same at both addresses, and the key set holds no private member"""
    openid = world.http.get(f"{world.auth_url}/.well-known/openid-configuration").json()
    oauth = world.http.get(f"{world.auth_url}/.well-known/oauth-authorization-server").json()
    expect(openid == oauth and openid["issuer"] == world.auth_url, openid.get("issuer"))
    expect(openid["authorization_endpoint"] and openid["code_challenge_methods_supported"] == ["S256"])
    keys = world.http.get(f"{world.auth_url}/.well-known/jwks.json")
    expect(keys.headers.get("ETag"), keys.headers)
    for key in keys.json()["keys"]:
        expect(not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key) and key["alg"] == "RS256", set(key))


def signs_what_discovery_says(world: World) -> None:
    """The token verifies from discovery alone and carries the claims of RFC 9068"""
    jwks_uri = world.http.get(f"{world.auth_url}/.well-known/openid-configuration").json()["jwks_uri"]
    token = jwt.decode(world.token, KeySet.import_key_set(world.http.get(jwks_uri).json()), algorithms=["RS256"])
    expect((token.header["typ"], token.header["alg"]) == ("at+jwt", "RS256"), token.header)
    claims = token.claims
    expect(claims["iss"] == world.auth_url and claims["sub"] == claims["client_id"] == CLIENT_ID, claims)
    expect(set(claims["aud"]) == {f"{world.mcp_url}/mcp", CLIENT_ID}, claims["aud"])
    expect(claims["exp"] > claims["iat"] and claims["jti"] and claims["scope"] == "mcp.access", claims)


def greets_with_a_token(world: World) -> None:
    """With the token, /hello greets and / describes the server"""
    expect(world.get("/hello", world.token).text == GREETING)
    information = world.get("/", world.token)
    expect(information.status_code == 200 and f"{world.mcp_url}/mcp" in information.text, information.text)


def refuses_a_damaged_token(world: World) -> None:
    """A damaged token, and one that says alg none, get 401 invalid_token"""
    header, payload, signature = world.token.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "at+jwt"}).encode()).decode().rstrip("=")
    for token in (f"{header}.{payload}.{signature[::-1]}", f"{none}.{payload}."):
        answer = world.get("/hello", token)
        expect(answer.status_code == 401, answer.status_code)
        expect('error="invalid_token"' in answer.headers["WWW-Authenticate"], answer.headers)


def lists_its_tools(world: World) -> None:
    """An MCP client lists the tools"""
    missing = {"get_server_status", "get_user_info", "store_sensitive_data", "test_pii_detection"} - set(
        world.list_tools()
    )
    expect(not missing, missing)


def speaks_both_protocols(world: World) -> None:
    """The MCP endpoint answers plain HTTP in 2026-07-28 and in 2025-11-25"""
    for version in ("2026-07-28", "2025-11-25"):
        arguments = {"name": "test_pii_detection", "arguments": {"text": PERSON}}
        answer = world.post_mcp(world.token, version, "tools/call", arguments)
        expect(answer.status_code == 200 and "010-****-5678" in answer.text, f"{version}: {answer.text}")


def masks_personal_data(world: World) -> None:
    """Personal data is found and masked, in Korean and English"""
    masked = world.call("test_pii_detection", {"text": PERSON})["masked_text"]
    expect("h***@example.com" in masked and "010-****-5678" in masked and "홍길동" not in masked, masked)


def stores_encrypted(world: World) -> None:
    """A stored value comes back by its record id only, and is encrypted on the way"""
    record = world.call("store_sensitive_data", {"data": PERSON, "field": "customer"})
    world.seen["record"] = record["record_id"]
    expect(PERSON not in json.dumps(record, ensure_ascii=False), record)


def asks_for_more_scope(world: World) -> None:
    """Reading it in clear needs mcp.decrypt: 403 names the scope, and with it the value is there"""
    arguments = {"record_id": world.seen["record"]}
    call = {"name": "read_sensitive_data", "arguments": arguments}
    refused = world.post_mcp(world.token, "2026-07-28", "tools/call", call)
    challenge = refused.headers.get("WWW-Authenticate", "")
    expect(refused.status_code == 403 and 'error="insufficient_scope"' in challenge, refused.status_code)
    expect("mcp.decrypt" in challenge, challenge)
    clear = world.call("read_sensitive_data", arguments, scope="mcp.access mcp.decrypt")
    expect(clear["data"] == PERSON)


def rejects_personal_data(world: World) -> None:
    """A high-security operation refuses personal data and names its kind, never its value"""
    call = {"name": "high_security_operation", "arguments": {"operation_data": f"delete the account of {PERSON}"}}
    answer = world.post_mcp(world.token, "2026-07-28", "tools/call", call)
    expect("EMAIL" in answer.text and "hong@example.com" not in answer.text, answer.text)


def keeps_the_record(world: World) -> None:
    """Every call and refusal is in the audit trail, without the values"""
    expected = ("store_sensitive_data", "executed_with_encryption", "rejected", "insufficient_scope")
    trail = ""
    for _ in range(30):  # an event is on disk before the answer leaves, and in the trail a moment later
        trail = json.dumps(world.call("get_security_audit_log", {"limit": 100}), ensure_ascii=False)
        if all(word in trail for word in expected):
            break
    for word in expected:
        expect(word in trail, f"{word} is not in the trail")
    expect("hong@example.com" not in trail and "010-1234-5678" not in trail and "eyJ" not in trail, "a value is in it")


def reports_on_it(world: World) -> None:
    """The security report is computed from that trail"""
    report = world.call("generate_security_report", {})
    expect("store_sensitive_data" in report["markdown"], report["markdown"])


STEPS: tuple[Callable[[World], None], ...] = (
    challenges_without_a_token,
    points_on_from_the_issuer,
    issues_a_token,
    tells_wrong_secrets_nothing,
    explains_bad_requests,
    publishes_its_metadata,
    signs_what_discovery_says,
    greets_with_a_token,
    refuses_a_damaged_token,
    lists_its_tools,
    speaks_both_protocols,
    masks_personal_data,
    stores_encrypted,
    asks_for_more_scope,
    rejects_personal_data,
    keeps_the_record,
    reports_on_it,
)


def tell_story(auth_url: str, mcp_url: str) -> Iterator[StepResult]:
    """Plays every step in order, also after one that failed. A step's docstring is its line."""
    with httpx2.Client(timeout=20) as http:
        world = World(auth_url, mcp_url, http)
        for step in STEPS:
            text = (step.__doc__ or step.__name__).strip()
            try:
                step(world)
            except Exception as error:  # noqa: BLE001 - whatever stops a step is that step's ✗
                yield StepResult(text, held=False, detail=f"{type(error).__name__}: {error}"[:300])
            else:
                yield StepResult(text, held=True)
