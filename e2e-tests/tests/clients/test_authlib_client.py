"""Authlib's client: a web application with sign-in, refresh, revocation and logout, and clients with secret and key."""

import asyncio
import socket
import threading
import time
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import uvicorn
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.integrations.starlette_client import OAuth
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

pytestmark = pytest.mark.clients

SCOPES = "openid profile email offline_access mcp.access"


class Site:
    """A web application as in Authlib's documentation. Only one browser uses it, so one session is enough."""

    def __init__(self, services, address, client_id, client_secret):
        self.address = address
        self.token = {}
        self._session = {}
        self._resource = f"{services.mcp_url}/mcp"
        self.issuer = OAuth().register(
            "issuer",
            client_id=client_id,
            client_secret=client_secret,
            server_metadata_url=f"{services.auth_url}/.well-known/openid-configuration",
            client_kwargs={"scope": SCOPES, "code_challenge_method": "S256"},
        )
        pages = (self.sign_in, self.callback, self.sign_out, self.signed_out)
        self.app = Starlette(routes=[Route(f"/{page.__name__.replace('_', '-')}", page) for page in pages])

    async def __call__(self, scope, receive, send):
        await self.app({**scope, "session": self._session}, receive, send)

    async def sign_in(self, request: Request):
        return await self.issuer.authorize_redirect(request, f"{self.address}/callback", resource=self._resource)

    async def callback(self, request: Request):
        self.token = await self.issuer.authorize_access_token(request, resource=self._resource)
        return JSONResponse(self.token["userinfo"])

    async def sign_out(self, request: Request):
        return await self.issuer.logout_redirect(request, f"{self.address}/signed-out", self.token["id_token"])

    async def signed_out(self, request: Request):
        await self.issuer.validate_logout_response(request)
        return PlainTextResponse("Signed out.")


@contextmanager
def serving(app, listener: socket.socket):
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield
    server.should_exit = True
    thread.join()


@pytest.fixture
def site(services):
    """Registers itself in demo mode; otherwise it is a declared client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://localhost:{listener.getsockname()[1]}"
        credentials = register(services, address) if services.is_demo else services.application
        site = Site(services, address, *credentials)
        with serving(site, listener):
            yield site


def register(services, address):
    metadata = {
        "client_name": "Authlib",
        "redirect_uris": [f"{address}/callback"],
        "post_logout_redirect_uris": [f"{address}/signed-out"],
        "grant_types": ["authorization_code", "refresh_token"],
    }
    made = httpx2.post(f"{services.auth_url}/oauth2/register", json=metadata).raise_for_status().json()
    return made["client_id"], made["client_secret"]


def visit(person, url):
    """Opens the URL and returns the final URL of the browser."""
    person.open(url)
    return person.visits[-1].result()


def test_a_user_signs_in_and_out(site, services, person):
    arrived = parse_qs(urlsplit(visit(person, f"{site.address}/sign-in")).query)
    assert arrived["iss"] == [services.auth_url]
    assert site.token["scope"] == SCOPES

    async def afterwards():
        about = await site.issuer.load_server_metadata()
        userinfo = await site.issuer.userinfo(token=site.token)
        async with AsyncOAuth2Client(site.issuer.client_id, site.issuer.client_secret) as http:
            fresh = await http.refresh_token(about["token_endpoint"], site.token["refresh_token"])
            active = await http.introspect_token(about["introspection_endpoint"], fresh["access_token"])
            await http.revoke_token(about["revocation_endpoint"], fresh["refresh_token"])
            ended = await http.introspect_token(about["introspection_endpoint"], fresh["access_token"])
        return userinfo, fresh, active.json(), ended.json()

    userinfo, fresh, active, ended = asyncio.run(afterwards())
    assert userinfo["preferred_username"] == services.account[0]
    assert userinfo["sub"] == site.token["userinfo"]["sub"] == active["sub"]
    assert fresh["refresh_token"] != site.token["refresh_token"]
    assert (active["active"], ended) == (True, {"active": False})
    assert visit(person, f"{site.address}/sign-out").startswith(f"{site.address}/signed-out?state=")


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_a_client_gets_a_token_for_itself(services, method):
    client_id, proof = services.signer if method == "private_key_jwt" else services.machine

    async def run():
        async with AsyncOAuth2Client(client_id, proof, token_endpoint_auth_method=method) as http:
            # Authlib's default lifetime of one hour exceeds the limit for assertions.
            claims = {"exp": int(time.time()) + 60}
            http.register_client_auth_method(PrivateKeyJWT(services.auth_url, claims, alg="ES256"))
            token = await http.fetch_token(
                f"{services.auth_url}/oauth2/token",
                grant_type="client_credentials",
                scope="mcp.access",
                resource=f"{services.mcp_url}/mcp",
            )
            return token, await http.get(f"{services.mcp_url}/hello")

    token, hello = asyncio.run(run())
    assert (token["scope"], hello.status_code) == ("mcp.access", 200)
