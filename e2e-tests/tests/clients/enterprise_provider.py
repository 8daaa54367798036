"""A company's identity provider that issues ID-JAGs: a second auth-service, behind a double that adds the exchange.

auth-service redeems ID-JAGs and does not issue them. The double forwards every request, adds its own key to the key
set, and exchanges the ID token of a client for an ID-JAG (MCP enterprise-managed authorization).
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
from company_browser import CALLBACK
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from local_stack.forms import sign_in
from local_stack.ports import StackPorts, free_ports
from local_stack.stack import AUTH, REDIS, Stack

AGENT, AGENT_SECRET = "agent", "secret-of-agent-at-the-provider"
RELYING_PARTY, RELYING_PARTY_SECRET = "auth-service", "secret-of-auth-service"
TYPES = "urn:ietf:params:oauth:token-type:"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
KEYS_PATH = "/.well-known/jwks.json"

DECLARATION = f"""
clients:
  - client_id: {RELYING_PARTY}
    secret_file: relying-party.secret
    grant_types: [authorization_code, refresh_token]
    redirect_uris: [{{callback}}]
    scopes: [openid, profile, email, offline_access]
  - client_id: {AGENT}
    secret_file: agent.secret
    grant_types: [authorization_code]
    redirect_uris: [{CALLBACK}]
    scopes: [openid]
"""


@dataclass
class EnterpriseProvider:
    """The provider. Its user is the demo user of auth-service. `issuer` is its public URL, that of the double."""

    issuer: str
    stack: Stack
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "id-jags", "alg": "RS256"}))

    def id_token_of_agent(self) -> str:
        """The ID token that the agent gets when its user signs in at the provider."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": AGENT,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "scope": "openid",
        }
        with httpx2.Client(timeout=20, transport=EndAt(CALLBACK), follow_redirects=True) as http:
            page = http.get(f"{self.issuer}/oauth2/authorize?{urlencode(query)}")
            page = sign_in(http, page, until=CALLBACK, username="demo", password="demo")
            (code,) = parse_qs(page.url.query.decode())["code"]
            form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
            answer = http.post(
                f"{self.issuer}/oauth2/token", data={**form, "redirect_uri": CALLBACK}, auth=(AGENT, AGENT_SECRET)
            )
        return answer.json()["id_token"]

    def id_jags(self, id_token: str) -> Callable[[str, str], Awaitable[str]]:
        """Gets ID-JAGs for an audience and a resource, as the agent does with the ID token of its user."""

        async def fetch_id_jag(audience: str, resource: str) -> str:
            form = {
                "grant_type": EXCHANGE,
                "requested_token_type": f"{TYPES}id-jag",
                "subject_token": id_token,
                "subject_token_type": f"{TYPES}id_token",
                "audience": audience,
                "resource": resource,
                "client_id": AGENT,
                "client_secret": AGENT_SECRET,
            }
            async with httpx2.AsyncClient(timeout=20) as http:
                answer = await http.post(f"{self.issuer}/oauth2/token", data=form)
            return answer.json()["access_token"]

        return fetch_id_jag

    def exchange(self, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """The token response of the agent's exchange."""
        if (form.get("client_id"), form.get("client_secret")) != (AGENT, AGENT_SECRET):
            return 401, {"error": "invalid_client"}
        kinds = (form.get("subject_token_type"), form.get("requested_token_type"))
        if kinds != (f"{TYPES}id_token", f"{TYPES}id-jag"):
            return 400, {"error": "invalid_request"}
        status, _, document = self.forward("GET", KEYS_PATH, b"", {})
        keys = KeySet.import_key_set(json.loads(document))
        claims = jwt.decode(form["subject_token"], keys, algorithms=["RS256"]).claims
        if (status, claims["iss"], claims["aud"]) != (200, self.issuer, AGENT):
            return 400, {"error": "invalid_grant"}
        return 200, {
            "access_token": self.issue(claims["sub"], form),
            "issued_token_type": f"{TYPES}id-jag",
            "token_type": "N_A",
            "expires_in": 300,
        }

    def issue(self, subject: str, form: Mapping[str, str]) -> str:
        """An ID-JAG for the agent."""
        now = int(time.time())
        asked = {name: form[name] for name in ("resource", "scope") if name in form}
        claims = {
            "iss": self.issuer,
            "sub": subject,
            "aud": form["audience"],
            "client_id": AGENT,
            "jti": secrets.token_hex(16),
            "iat": now,
            "exp": now + 300,
            **asked,
        }
        return jwt.encode({"alg": "RS256", "kid": "id-jags", "typ": "oauth-id-jag+jwt"}, claims, self.key)

    def forward(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers and body of the second auth-service's response. It sees the double's Host header."""
        connection = HTTPConnection("127.0.0.1", self.stack.ports.auth, timeout=20)
        try:
            connection.request(method, path, body, {**headers, "Host": urlsplit(self.issuer).netloc})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


class EndAt(httpx2.HTTPTransport):
    """The address of a client, at which nothing listens: the browser ends there."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if str(request.url).startswith(self._address):
            return httpx2.Response(200, request=request)
        return super().handle_request(request)


@contextmanager
def run_enterprise_provider(folder: Path, relying_party: str) -> Iterator[EnterpriseProvider]:
    """The provider during a `with` block. `relying_party` is the issuer at which its users sign in.

    Its host name is another than that of the relying party, so that a browser keeps their cookies apart.
    """
    (port,) = free_ports(1)
    (folder / "relying-party.secret").write_text(RELYING_PARTY_SECRET)
    (folder / "agent.secret").write_text(AGENT_SECRET)
    callback = f"{relying_party}/oauth2/callback/headquarters"
    (folder / "auth.yaml").write_text(DECLARATION.format(callback=callback))
    issuer = f"http://127.0.0.1:{port}"
    overrides = {"AUTH_CONFIG": str(folder / "auth.yaml"), "AUTH_ISSUER": issuer}
    stack = Stack(StackPorts.ephemeral(), folder / "stack", overrides)
    provider = EnterpriseProvider(issuer, stack)
    with ThreadingHTTPServer(("127.0.0.1", port), make_handler(provider)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            stack.start(REDIS, AUTH)
            yield provider
        finally:
            stack.stop()
            server.shutdown()
            thread.join()


def make_handler(provider: EnterpriseProvider) -> type[BaseHTTPRequestHandler]:
    class Double(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = self.forward(b"")
            if self.path == KEYS_PATH:
                document = json.loads(body)
                document["keys"].append(provider.key.as_dict(private=False, use="sig"))
                body = json.dumps(document).encode()
            self.answer(status, headers, body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            form = dict(parse_qsl(body.decode()))
            if form.get("grant_type") != EXCHANGE:
                self.answer(*self.forward(body))
                return
            status, members = provider.exchange(form)
            self.answer(status, [("content-type", "application/json")], json.dumps(members).encode())

        def forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            return provider.forward(self.command, self.path, body, dict(self.headers))

        def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in {"content-length", "connection", "date", "server", "transfer-encoding"}:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    return Double
