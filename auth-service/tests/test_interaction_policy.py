"""Each rule of the interaction policy matters: there is a case that no other rule covers."""

from dataclasses import replace

import pytest
from signing_in import CALLBACK, RESOURCE

from auth_service.authorize import interaction_policy
from auth_service.authorize.authorization_request import AuthorizationRequest, Prompt
from auth_service.authorize.interaction_policy import ConsentState, SignInState
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
SIGNED_IN = SignInState(request=REQUEST, session=SESSION, started_at_seconds=200, now=201)
ALLOWED = ConsentState(request=REQUEST, client=CLIENT, scopes=("mcp.access",), allowed=frozenset({"mcp.access"}))

SIGN_INS = {
    "requests_sign_in": replace(SIGNED_IN, request=replace(REQUEST, prompts=frozenset({Prompt.LOGIN}))),
    "is_signed_in_too_long": replace(SIGNED_IN, request=replace(REQUEST, max_age_seconds=100)),
    "is_another_user": replace(SIGNED_IN, request=replace(REQUEST, subject="u_2")),
}
CONSENTS = {
    "requests_consent": replace(ALLOWED, request=replace(REQUEST, prompts=frozenset({Prompt.CONSENT}))),
    "requests_more_scopes": replace(ALLOWED, scopes=("mcp.access", "mcp.decrypt")),
    "could_be_another_program": replace(ALLOWED, client=replace(CLIENT, origin=ClientOrigin.METADATA_DOCUMENT)),
}


def test_a_sign_in_at_a_provider_is_for_one_request() -> None:
    """Without `auth_time`, the provider may have answered with a session that is days old."""
    silent = replace(SESSION, provider="company", signed_in_at_seconds=300, interaction_id="first")
    for request in (replace(REQUEST, prompts=frozenset({Prompt.LOGIN})), replace(REQUEST, max_age_seconds=300)):
        state = replace(SIGNED_IN, request=request, session=silent, interaction_id="first", now=301)
        assert not interaction_policy.needs_sign_in(state)
        second = replace(state, interaction_id="second")
        assert interaction_policy.needs_sign_in(second)
        recent = replace(second, session=replace(silent, authenticated_at_seconds=250))
        assert not interaction_policy.needs_sign_in(recent), "the user authenticated after the request began"


def without(monkeypatch: pytest.MonkeyPatch, pipeline: str, name: str) -> None:
    kept = tuple(rule for rule in getattr(interaction_policy, pipeline) if rule.__name__ != name)
    monkeypatch.setattr(interaction_policy, pipeline, kept)


def test_without_a_matching_rule_no_interaction_is_needed() -> None:
    assert not interaction_policy.needs_sign_in(SIGNED_IN)
    assert not interaction_policy.needs_consent(ALLOWED)


@pytest.mark.parametrize("name", [rule.__name__ for rule in interaction_policy.SIGN_IN_RULES])
def test_each_sign_in_rule_matters(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert interaction_policy.needs_sign_in(SIGN_INS[name])
    without(monkeypatch, "SIGN_IN_RULES", name)
    assert not interaction_policy.needs_sign_in(SIGN_INS[name])


@pytest.mark.parametrize("name", [rule.__name__ for rule in interaction_policy.CONSENT_RULES])
def test_each_consent_rule_matters(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert interaction_policy.needs_consent(CONSENTS[name])
    without(monkeypatch, "CONSENT_RULES", name)
    assert not interaction_policy.needs_consent(CONSENTS[name])
