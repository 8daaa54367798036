"""Each rule that sends a person to a page matters: there is a case that no other rule catches."""

from dataclasses import replace

import pytest
from signing_in import CALLBACK, RESOURCE

from auth_service.authorize import missing
from auth_service.authorize.missing import Consenting, SigningIn
from auth_service.authorize.request import AuthorizationRequest, Prompt
from auth_service.clients.client import Client, ClientOrigin
from auth_service.protocol import AuthMethod, GrantType
from auth_service.web.sessions import Session

REQUEST = AuthorizationRequest(
    client_id="app", redirect_uri=CALLBACK, scopes=("mcp.access",), resource=RESOURCE, code_challenge="c" * 43
)
CLIENT = Client(
    client_id="app",
    name="App",
    origin=ClientOrigin.REGISTERED,
    auth_methods=frozenset({AuthMethod.NONE}),
    grant_types=frozenset({GrantType.AUTHORIZATION_CODE}),
    scopes=frozenset({"mcp.access"}),
)
SESSION = Session(subject="u_1", signed_in_at_seconds=100, methods=("pwd",))
SIGNED_IN = SigningIn(request=REQUEST, session=SESSION, started_at_seconds=200, now=201)
ALLOWED = Consenting(request=REQUEST, client=CLIENT, scopes=("mcp.access",), allowed=frozenset({"mcp.access"}))

SIGN_INS = {
    "wants_a_sign_in": replace(SIGNED_IN, request=replace(REQUEST, prompts=frozenset({Prompt.LOGIN}))),
    "is_signed_in_too_long": replace(SIGNED_IN, request=replace(REQUEST, max_age_seconds=100)),
    "is_somebody_else": replace(SIGNED_IN, request=replace(REQUEST, subject="u_2")),
}
CONSENTS = {
    "wants_a_consent": replace(ALLOWED, request=replace(REQUEST, prompts=frozenset({Prompt.CONSENT}))),
    "asks_for_more": replace(ALLOWED, scopes=("mcp.access", "mcp.decrypt")),
    "could_be_anyone": replace(ALLOWED, client=replace(CLIENT, origin=ClientOrigin.METADATA_DOCUMENT)),
}


def without(monkeypatch: pytest.MonkeyPatch, pipeline: str, name: str) -> None:
    monkeypatch.setattr(missing, pipeline, tuple(r for r in getattr(missing, pipeline) if r.__name__ != name))


def test_nothing_is_missing() -> None:
    assert not missing.lacks_sign_in(SIGNED_IN)
    assert not missing.lacks_consent(ALLOWED)


@pytest.mark.parametrize("name", [rule.__name__ for rule in missing.SIGN_IN_RULES])
def test_each_rule_for_a_sign_in_matters(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert missing.lacks_sign_in(SIGN_INS[name])
    without(monkeypatch, "SIGN_IN_RULES", name)
    assert not missing.lacks_sign_in(SIGN_INS[name])


@pytest.mark.parametrize("name", [rule.__name__ for rule in missing.CONSENT_RULES])
def test_each_rule_for_a_consent_matters(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert missing.lacks_consent(CONSENTS[name])
    without(monkeypatch, "CONSENT_RULES", name)
    assert not missing.lacks_consent(CONSENTS[name])
