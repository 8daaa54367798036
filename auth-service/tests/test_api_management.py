"""The validate-jwt policy of Azure API Management, applied as its policy file describes."""

import os
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from bad_input import DEMO
from running_auth import Service, StartService

from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.declared_clients import make_client
from auth_service.declaration_file import load_declaration
from auth_service.settings import AuthSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
POLICY = (DEPLOY / "azure" / "api-management-policy.xml").read_text()


def policy_for(issuer: str) -> str:
    """The policy file with the named value that an operator sets."""
    return POLICY.replace("https://{{auth-fqdn}}", issuer)


_OTHER_ISSUER = "<issuers><issuer>https://other.example</issuer></issuers>"


class Refused(Exception):
    """The gateway responds with 401."""


def validate(policy: str, authorization: str, get: Callable[[str], Any], *, now: float) -> dict[str, Any]:
    """Validates a request as the gateway does; returns the claims."""
    root = ET.fromstring(policy.strip())
    scheme, _, token = authorization.partition(" ")
    if scheme != "Bearer":
        raise Refused("scheme")
    config = root.find(".//openid-config")
    assert config is not None
    metadata = get(config.attrib["url"])
    keys = {key["kid"]: jwt.PyJWK(key) for key in get(metadata["jwks_uri"])["keys"]}
    try:
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=[str(node.text) for node in root.iter("audience")],
            issuer=[str(node.text) for node in root.iter("issuer")] or metadata["issuer"],
            options={"require": ["exp"], "verify_exp": False},
        )
    except (KeyError, jwt.InvalidTokenError) as error:
        raise Refused(type(error).__name__) from error
    if claims["exp"] <= now:
        raise Refused("expired")
    return claims


def reader(service: Service) -> Callable[[str], Any]:
    """Fetches a public address of the service from the port that it listens on."""

    def get(url: str) -> Any:
        answer: httpx2.Response = service.http.get(url.removeprefix(service.issuer))
        assert answer.status_code == 200
        return answer.json()

    return get


@pytest.fixture(params=["demo", "declared behind https"])
def gateway(request: pytest.FixtureRequest, service: Service, start_service: StartService, tmp_path: Any) -> Any:
    """The service, its client's secret, and the policy that was written for it."""
    if request.param == "demo":
        return service, "secret"
    (tmp_path / "secret").write_text("a secret of its own")
    (tmp_path / "auth.yaml").write_text(
        "clients: [{client_id: mcp-client, secret_file: secret, extra_audiences: [mcp-client]}]"
    )
    return start_service(
        config=tmp_path / "auth.yaml", demo=False, issuer="https://auth.example"
    ), "a secret of its own"


def get_token(service: Service, secret: str) -> str:
    return service.http.post("/oauth2/token", data={**DEMO, "client_secret": secret}).json()["access_token"]


def test_the_gateway_accepts_the_token(gateway: Any) -> None:
    service, secret = gateway
    policy = policy_for(service.issuer)
    claims = validate(policy, f"Bearer {get_token(service, secret)}", reader(service), now=time.time())
    assert claims["client_id"] == "mcp-client"


def test_the_gateway_refuses_invalid_tokens(gateway: Any) -> None:
    service, secret = gateway
    policy, token, get = policy_for(service.issuer), get_token(service, secret), reader(service)
    head, payload, signature = token.split(".")
    wrong = {
        "no Bearer": (policy, token, time.time()),
        "signature": (policy, f"Bearer {head}.{payload}.{signature[:-8]}AAAAAAAA", time.time()),
        "expired": (policy, f"Bearer {token}", time.time() + 1801),
        "audience": (policy.replace(">mcp-client<", ">other<"), f"Bearer {token}", time.time()),
        "issuer": (policy.replace("<base/>", _OTHER_ISSUER, 1), f"Bearer {token}", time.time()),
    }
    for rules, authorization, now in wrong.values():
        with pytest.raises(Refused):
            validate(rules, authorization, get, now=now)


def test_a_client_without_the_extra_audience_is_refused(start_service: StartService, tmp_path: Any) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "auth.yaml").write_text("clients: [{client_id: mcp-client, secret_file: secret}]")
    service = start_service(config=tmp_path / "auth.yaml", demo=False)
    policy = policy_for(service.issuer)
    with pytest.raises(Refused, match="InvalidAudienceError"):
        validate(policy, f"Bearer {get_token(service, 'secret')}", reader(service), now=time.time())


def test_the_example_declaration_is_valid(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (tmp_path / "auth.yaml").write_text((DEPLOY / "auth.yaml").read_text())
    for name in ("mcp-client", "example-app", "initial-access-token"):
        (secrets / name).write_text("x")
    declaration = load_declaration(AuthSettings(config=tmp_path / "auth.yaml", issuer="https://auth.example"))
    keeper = ClientSecrets(b"pepper", os.urandom)
    assert [make_client(client, keeper).client_id for client in declaration.clients] == ["mcp-client", "example-app"]
