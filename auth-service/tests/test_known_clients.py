"""What each known MCP client sends, from its registration to its first refresh, in demo mode and out of it."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from redis.asyncio import Redis
from running_auth import Service, StartService
from signing_in import RESOURCE, Person, Request, redeem, refresh, sent_to_client

from auth_service.accounts.model import Account
from auth_service.accounts.passwords import PasswordKeeper
from auth_service.accounts.store import AccountStore

HERE = Path(__file__).parent
CLIENTS: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "known_clients.yaml").read_text(encoding="utf-8"))
REGISTRATION = {"dynamic": "open", "metadata_documents": "listed", "pinned_directory": str(HERE / "client_documents")}
PASSWORD = "pass phrase"
_sources = itertools.count(1)


@pytest.fixture(scope="module", params=[True, False], ids=["demo", "declared"])
def server(
    request: pytest.FixtureRequest, start_service: StartService, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    config = tmp_path_factory.mktemp("declaration") / "auth.yaml"
    config.write_text(yaml.safe_dump({"registration": REGISTRATION}))
    service = start_service(config=config, demo=request.param, trusted_proxies="127.0.0.1")

    async def add_account() -> None:
        async with Redis.from_url(service.settings.redis_url) as redis:
            account = Account(subject=f"u_{service.settings.port}", username=user_name(service), name="User")
            await AccountStore(redis).add(account, await PasswordKeeper().seal(PASSWORD))

    asyncio.run(add_account())
    return service


def user_name(service: Service) -> str:
    """Somebody for each service: they share a Redis, which remembers consents."""
    return f"user-of-{service.settings.port}"


@pytest.fixture
def user(server: Service) -> Iterator[Person]:
    person = Person(f"http://127.0.0.1:{server.settings.port}", source=f"10.7.{next(_sources)}.1")
    yield person
    person.http.close()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_known_client_gets_its_user_in(server: Service, user: Person, name: str) -> None:
    sent: dict[str, Any] = CLIENTS[name]
    client_id, secret = introduce(user, sent)
    request = Request(client_id, {"resource": RESOURCE, **sent["authorize"]})
    page = user.sign_in(user.open(request.path), user_name(server), PASSWORD)
    if page.status_code == 200:  # another of the client's addresses may have been allowed before
        page = user.allow(page)
    answer = sent_to_client(page)
    assert page.headers["location"].startswith(sent["authorize"]["redirect_uri"])
    assert answer["iss"] == server.issuer
    tokens = redeem(user.http, request, answer["code"], resource=RESOURCE, **secret).json()
    asked = set(sent["authorize"]["scope"].split())
    assert set(tokens["scope"].split()) == asked - {"mcp.audit", "claudeai"}
    assert jwt.decode(tokens["access_token"], options={"verify_signature": False})["aud"] == RESOURCE
    resource = {"resource": RESOURCE} if sent.get("refresh_names_resource", True) else {}
    fresh = refresh(user.http, client_id, tokens["refresh_token"], **resource, **secret)
    assert (fresh.status_code, fresh.json()["scope"]) == (200, tokens["scope"])


def introduce(user: Person, sent: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The client's id, and the secret where it sends one in its forms; in the header it is sent from here on."""
    if "document" in sent:
        document = json.loads((HERE / "client_documents" / f"{sent['document']}.json").read_text())
        return document["client_id"], {}
    answer = user.http.post("/oauth2/register", json=sent["registration"])
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store"), answer.text
    registered = answer.json()
    assert registered["redirect_uris"] == sent["registration"]["redirect_uris"]
    assert set(registered["grant_types"]) == {"authorization_code", "refresh_token"}
    assert registered["client_id"].startswith("c_")
    if registered["token_endpoint_auth_method"] == "client_secret_basic":
        user.http.auth = (registered["client_id"], registered["client_secret"])
    by_post = registered["token_endpoint_auth_method"] == "client_secret_post"
    return registered["client_id"], {"client_secret": registered["client_secret"]} if by_post else {}
