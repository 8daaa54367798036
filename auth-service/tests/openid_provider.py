"""An OpenID provider on loopback: signs everyone in without a page, and answers wrongly where a test asks for it."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwk
from joserfc.jws import JWSRegistry
from running_auth import free_port
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID, CLIENT_SECRET = "auth-service", "secret of auth-service: 100%"

Change = Callable[[dict[str, Any]], Any]


def _unchanged(members: dict[str, Any]) -> None:
    """Leaves everything as it is."""


@dataclass
class OpenIdProvider:
    """`change_*` may change what is sent, or return something else in its place.

    `claims` are those of the person who signs in, `requests` the parameters of authorization and token requests.
    """

    port: int
    key: jwk.Key = field(default_factory=lambda: jwk.RSAKey.generate_key(2048, {"kid": "first"}))
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "person-1", "groups": ["staff"]})
    userinfo: dict[str, Any] = field(default_factory=dict)
    change_metadata: Change = _unchanged
    change_response: Change = _unchanged
    change_tokens: Change = _unchanged
    change_id_token: Change = _unchanged
    change_header: Change = _unchanged
    change_userinfo: Change = _unchanged
    is_down: bool = False
    token_error: str | None = None
    description: str = "<b>internal</b>"
    gives_refresh_tokens: bool = True
    refreshed: int = 0
    requests: list[dict[str, str]] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _refresh_tokens: set[str] = field(default_factory=set)

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.port}"

    def metadata(self, _: Request) -> Response:
        members: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "authorization_response_iss_parameter_supported": True,
        }
        return _answer(members, self.change_metadata)

    def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.requests.append(asked)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        sent: dict[str, Any] = {"code": code, "state": asked["state"], "iss": self.issuer}
        changed = self.change_response(sent)
        query = changed if isinstance(changed, str) else urlencode({k: v for k, v in sent.items() if v is not None})
        return RedirectResponse(f"{asked['redirect_uri']}?{query}", status_code=302)

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        self.requests.append(form)
        if self.is_down:
            return JSONResponse({}, status_code=503)
        if self.token_error is not None:
            return JSONResponse({"error": self.token_error, "error_description": self.description}, status_code=400)
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}" and "client_assertion" not in form:
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        asked = self._codes.pop(form.get("code", ""), {})
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self._refresh_tokens:
                return JSONResponse({"error": "invalid_grant"}, status_code=400)
            self._refresh_tokens.discard(form["refresh_token"])
            self.refreshed += 1
        else:
            challenge = hashlib.sha256(form["code_verifier"].encode()).digest()
            if base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() != asked.get("code_challenge"):
                return JSONResponse({"error": "invalid_grant"}, status_code=400)
        members: dict[str, Any] = {
            "access_token": "upstream-access-token",
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": self.id_token(asked.get("nonce")),
        }
        if self.gives_refresh_tokens:
            members["refresh_token"] = f"upstream-refresh-{secrets.token_urlsafe(8)}"
            self._refresh_tokens.add(members["refresh_token"])
        return _answer(members, self.change_tokens)

    def id_token(self, nonce: str | None) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            **({"nonce": nonce} if nonce is not None else {}),
            **self.claims,
        }
        header: dict[str, Any] = {"alg": "RS256", "kid": "first"}
        self.change_id_token(claims)
        changed = self.change_header(header)
        return changed(claims) if callable(changed) else sign(header, claims, self.key)

    def logout_token(self, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """A logout token about the person. `changes` replace claims; None removes one."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_urlsafe(8),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            "sub": self.claims["sub"],
            **changes,
        }
        sent = {name: value for name, value in claims.items() if value is not None}
        return sign({"alg": "RS256", "kid": "first", "typ": "logout+jwt", **(header or {})}, sent, self.key)

    def jwks(self, _: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    def read_userinfo(self, _: Request) -> Response:
        return _answer({"sub": self.claims.get("sub"), **self.userinfo}, self.change_userinfo)

    def reset(self) -> None:
        """Signs in the usual person correctly again."""
        fresh = OpenIdProvider(self.port, key=self.key)
        for name in ("claims", "userinfo", "is_down", "token_error", "description", "gives_refresh_tokens"):
            setattr(self, name, getattr(fresh, name))
        for name in ("metadata", "response", "tokens", "id_token", "header", "userinfo"):
            setattr(self, f"change_{name}", _unchanged)
        self.requests.clear()


def sign(header: Mapping[str, Any], claims: Mapping[str, Any], key: jwk.Key) -> str:
    """A compact JWS whose header is written as it is, valid or not."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signing_input = b".".join(parts)
    if header["alg"] == "none":
        return signing_input.decode() + "."
    algorithm = JWSRegistry(algorithms=[header["alg"]]).get_alg(header["alg"])
    signature = base64.urlsafe_b64encode(algorithm.sign(signing_input, key)).rstrip(b"=")
    return b".".join([signing_input, signature]).decode()


@contextmanager
def running_provider() -> Generator[OpenIdProvider]:
    provider = OpenIdProvider(free_port())
    routes = [
        Route("/.well-known/openid-configuration", provider.metadata),
        Route("/authorize", provider.authorize),
        Route("/token", provider.token, methods=["POST"]),
        Route("/jwks", provider.jwks),
        Route("/userinfo", provider.read_userinfo),
    ]
    config = uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=provider.port, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="openid-provider")
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the provider did not start"
        time.sleep(0.01)
    yield provider
    server.should_exit = True
    thread.join()


def _answer(members: dict[str, Any], change: Change) -> Response:
    changed = change(members)
    return changed if isinstance(changed, Response) else JSONResponse(members)
