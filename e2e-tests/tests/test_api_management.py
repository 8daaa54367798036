"""The policy file for Azure API Management, evaluated as its reference describes `validate-jwt`."""

import base64
import json
import shutil
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from local_stack.ports import StackPorts
from local_stack.stack import AUTH, REDIS, Stack
from local_stack.story import MachineClient, World

ROOT = Path(__file__).resolve().parents[2]
PUBLIC_ISSUER = "https://auth.example.com"
Fetch = Callable[[str], dict[str, Any]]


@dataclass(frozen=True)
class ValidateJwt:
    """One `validate-jwt` element: the issuer and keys come from openid-config, an audience has to match, exp is due."""

    openid_config: str
    audiences: tuple[str, ...]

    @classmethod
    def read(cls, policy: str) -> "ValidateJwt":
        element = ET.fromstring(policy).find("./inbound/validate-jwt")
        assert element is not None
        assert element.get("header-name") == "Authorization"
        config = element.find("openid-config")
        assert config is not None
        return cls(config.attrib["url"], tuple(each.text or "" for each in element.findall("./audiences/audience")))

    def accepts(self, token: str, fetch: Fetch, *, in_seconds: int = 0) -> bool:
        """Whether the request would go on to the backend, now or in some seconds."""
        metadata = fetch(self.openid_config)
        keys = KeySet.import_key_set(fetch(metadata["jwks_uri"]))
        rules = jwt.JWTClaimsRegistry(
            now=int(time.time()) + in_seconds,
            iss={"essential": True, "value": metadata["issuer"]},
            aud={"essential": True, "values": list(self.audiences)},
            exp={"essential": True},
        )
        try:
            rules.validate(jwt.decode(token, keys, algorithms=["RS256"]).claims)
        except (JoseError, ValueError):
            return False
        return True


def policy(host: str) -> ValidateJwt:
    """The file as it is, with the named value filled in."""
    text = (ROOT / "deploy/azure/api-management-policy.xml").read_text(encoding="utf-8")
    return ValidateJwt.read(text.replace("{{auth-fqdn}}", host))


def parts(token: str) -> list[dict[str, Any]]:
    """Header and claims, unverified."""
    return [json.loads(base64.urlsafe_b64decode(f"{part}==")) for part in token.split(".")[:2]]


@pytest.fixture(scope="module")
def gateway(world: World) -> Callable[[str], bool]:
    """The policy in front of the demo; API Management wants https, which loopback has not."""
    judge = policy(world.auth_url.removeprefix("http://"))
    return lambda token: judge.accepts(
        token, lambda url: world.http.get(url.replace("https://localhost", "http://localhost")).json()
    )


def test_the_demo_clients_token_passes(gateway: Callable[[str], bool], world: World) -> None:
    assert gateway(world.token)


def test_a_client_without_the_audience_is_stopped(
    gateway: Callable[[str], bool], employee: Callable[[str], World]
) -> None:
    assert not gateway(employee("support-agent").token)


def test_a_damaged_token_is_stopped(gateway: Callable[[str], bool], world: World) -> None:
    header, payload, signature = world.token.split(".")
    assert not gateway(f"{header}.{payload}.{signature[::-1]}")


def test_a_strangers_signature_is_stopped(gateway: Callable[[str], bool], world: World) -> None:
    header, claims = parts(world.token)
    assert not gateway(jwt.encode(header, claims, RSAKey.generate_key(2048), algorithms=["RS256"]))


@pytest.fixture(scope="module")
def declared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """auth-service as behind a TLS proxy: an https issuer, no demo mode, and the declaration of deploy/."""
    folder = tmp_path_factory.mktemp("declared")
    shutil.copy(ROOT / "deploy/auth.yaml", folder)
    (folder / "secrets").mkdir()
    for name in ("mcp-client", "example-app", "initial-access-token"):
        (folder / "secrets" / name).write_text(f"a-secret-of-our-own-for-{name}")
    settings = {
        "AUTH_ISSUER": PUBLIC_ISSUER,
        "AUTH_RESOURCE": "https://mcp.example.com/mcp",
        "AUTH_CONFIG": str(folder / "auth.yaml"),
    }
    stack = Stack(StackPorts.ephemeral(), folder / "state", settings, demo=False)
    try:
        stack.start(REDIS, AUTH)
        yield stack
    finally:
        stack.stop()


def test_a_declared_client_behind_https_passes_until_its_token_expires(
    declared_stack: Stack, http: httpx2.Client
) -> None:
    judge = policy("auth.example.com")
    proxy = declared_stack.auth_url

    def fetch(url: str) -> dict[str, Any]:
        assert url.startswith(f"{PUBLIC_ISSUER}/")
        return http.get(url.replace(PUBLIC_ISSUER, proxy)).json()

    client = MachineClient(proxy, http, ("mcp-client", "a-secret-of-our-own-for-mcp-client"))
    token = client.token()
    assert parts(token)[1]["iss"] == PUBLIC_ISSUER
    assert judge.accepts(token, fetch)
    assert judge.accepts(token, fetch, in_seconds=1700)
    assert not judge.accepts(token, fetch, in_seconds=1900)
    assert not replace(judge, audiences=("another-audience",)).accepts(token, fetch)
    assert client.ask(client_secret="secret").json()["error"] == "invalid_client"
