"""The MCP SDKs discover the server, sign in, call every tool, and step up when a tool needs more scopes.

In the browser: registered, known by a metadata document, or declared. As a machine: with a secret, or with a key.
"""

import asyncio
import webbrowser
from collections.abc import Callable

import pytest
from fastmcp import Client
from fastmcp.client.auth import ClientCredentialsOAuthProvider as FastMCPSecret
from fastmcp.client.auth import OAuth
from fastmcp.client.auth import PrivateKeyJWTOAuthProvider as FastMCPKey
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.client import Client as SdkClient
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from local_stack.every_tool import SECRET_TEXT, call_every_tool, every_call

pytestmark = pytest.mark.clients

IN_THE_BROWSER = pytest.mark.parametrize(
    ("services", "way"),
    [("demo", "registered"), ("demo", "document"), ("declared", "document"), ("declared", "declared")],
    indirect=["services"],
)
# The scopes of the tokens of a client, in order.
STEPS = [{"mcp.access"}, {"mcp.access", "mcp.decrypt"}]
AS_A_MACHINE = pytest.mark.parametrize("proof", ["secret", "key"])


def run_fastmcp(services, provider) -> None:
    async def run() -> None:
        async with Client(f"{services.mcp_url}/mcp", auth=provider) as session:
            await call_every_tool(session, every_call(demo=services.is_demo))

    asyncio.run(run())


@IN_THE_BROWSER
@pytest.mark.filterwarnings("ignore:Using in-memory token storage")
def test_fastmcp_in_the_browser(services, person, way, monkeypatch) -> None:
    given = {
        "registered": {},
        "document": {"client_metadata_url": services.document_url},
        "declared": {"client_id": services.application[0], "client_secret": services.application[1]},
    }[way]
    monkeypatch.setattr(webbrowser, "open", person.open)
    provider = OAuth(f"{services.mcp_url}/mcp", callback_timeout=30, **given)
    run_fastmcp(services, provider)
    check_client_id(provider.context.client_info.client_id, services, way)


@AS_A_MACHINE
def test_fastmcp_with_client_credentials(services, proof) -> None:
    if proof == "secret":
        client_id, secret = services.machine
        provider = FastMCPSecret(client_id=client_id, client_secret=secret, issuer=services.auth_url)
    else:
        provider = FastMCPKey(client_id=services.signer[0], assertion_provider=sign(services), issuer=services.auth_url)
    run_fastmcp(services, provider)


def sign(services):
    """Signs the assertions of the client that has a key."""
    client_id, key = services.signer
    signing_key = key.as_pem(private=True).decode()
    signed = SignedJWTParameters(
        issuer=client_id, subject=client_id, signing_key=signing_key, signing_algorithm="ES256"
    )
    return signed.create_assertion_provider()


def check_client_id(client_id: str, services, way: str) -> None:
    """Asserts that the client was identified in the intended way."""
    known = {"document": services.document_url, "declared": services.application[0]}
    assert client_id == known.get(way, client_id)
    assert (client_id not in known.values()) == (way == "registered")


class Memory:
    """The storage of the Python SDK; `scopes` lists the scopes of each token."""

    def __init__(self, client: OAuthClientInformationFull | None = None) -> None:
        self.tokens: OAuthToken | None = None
        self.client = client
        self.scopes: list[set[str]] = []

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens
        self.scopes.append(set(tokens.scope.split()))

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


def run_python_sdk(services, provider: OAuthClientProvider) -> None:
    async def run() -> None:
        async with create_mcp_http_client(auth=provider) as http:
            transport = streamable_http_client(f"{services.mcp_url}/mcp", http_client=http)
            async with SdkClient(transport) as session:
                await call_every_tool(session, every_call(demo=services.is_demo))

    asyncio.run(run())


@IN_THE_BROWSER
def test_the_python_sdk_in_the_browser(services, person, way, callback) -> None:
    """The application opens the URL and receives the response; the SDK does the rest."""
    metadata = OAuthClientMetadata(
        client_name="Python Application", redirect_uris=[callback.url], token_endpoint_auth_method="none"
    )
    client_id, client_secret = services.application
    declared = OAuthClientInformationFull(
        **metadata.model_dump(exclude={"token_endpoint_auth_method"}),
        client_id=client_id,
        client_secret=client_secret,
        token_endpoint_auth_method="client_secret_basic",
        issuer=services.auth_url,
    )

    async def show(address: str) -> None:
        person.open(address)

    async def answer() -> AuthorizationCodeResult:
        query = await asyncio.to_thread(callback.wait)
        return AuthorizationCodeResult(code=query["code"], state=query["state"], iss=query["iss"])

    memory = Memory(declared if way == "declared" else None)
    document_url = services.document_url if way == "document" else None
    run_python_sdk(
        services, OAuthClientProvider(f"{services.mcp_url}/mcp", metadata, memory, show, answer, document_url)
    )
    check_client_id(memory.client.client_id, services, way)
    assert [scopes - {"offline_access"} for scopes in memory.scopes] == STEPS


@AS_A_MACHINE
def test_the_python_sdk_with_client_credentials(services, proof) -> None:
    memory = Memory()
    where = (f"{services.mcp_url}/mcp", memory)
    if proof == "secret":
        provider = ClientCredentialsOAuthProvider(*where, *services.machine, issuer=services.auth_url)
    else:
        provider = PrivateKeyJWTOAuthProvider(*where, services.signer[0], sign(services), issuer=services.auth_url)
    run_python_sdk(services, provider)
    assert memory.scopes == STEPS


@pytest.fixture
def run_typescript_sdk(run_application, services) -> Callable[..., str]:
    """Checks the report of the application and returns its client id."""

    def play(person=None, **way_in: object) -> str:
        calls = every_call(demo=services.is_demo)
        given = {"url": f"{services.mcp_url}/mcp", "issuer": services.auth_url, "calls": calls, **way_in}
        said = run_application("mcp_client.mjs", given, person)
        assert set(said["tools"]) == {name for name, _ in calls}
        assert not [name for name, result in said["results"].items() if result.get("isError")]
        assert said["results"]["read_sensitive_data"]["structuredContent"]["data"] == SECRET_TEXT
        assert [set(scope.split()) - {"offline_access"} for scope in said["scopes"]] == STEPS
        return said["clientId"]

    return play


@IN_THE_BROWSER
def test_the_typescript_sdk_in_the_browser(run_typescript_sdk, services, person, way) -> None:
    client_id, client_secret = services.application
    browser = {
        "registered": {},
        "document": {"documentUrl": services.document_url},
        "declared": {"client": {"client_id": client_id, "client_secret": client_secret}},
    }[way]
    check_client_id(run_typescript_sdk(person, browser=browser), services, way)


@AS_A_MACHINE
def test_the_typescript_sdk_with_client_credentials(run_typescript_sdk, services, proof) -> None:
    client_id, key = services.signer
    way_in = {"secret": {"secret": services.machine}, "key": {"key": (client_id, key.as_dict(private=True))}}[proof]
    assert run_typescript_sdk(**way_in) == (services.machine[0] if proof == "secret" else client_id)
