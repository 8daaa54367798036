"""An authorization request, read once: what it says is settled here, who is asked about it comes later."""

from dataclasses import dataclass
from enum import StrEnum

from auth_service.clients.client import Client
from auth_service.errors import InvalidRequest, InvalidScope
from auth_service.http.forms import Form
from auth_service.scopes import IDENTITY_SCOPES, parse_scope
from auth_service.tokens.resources import Resource, Resources

__all__ = ["AuthorizationRequest", "Prompt", "parse_prompts", "read_request"]


class Prompt(StrEnum):
    """OpenID Connect Core section 3.1.2.1."""

    NONE = "none"
    LOGIN = "login"
    CONSENT = "consent"
    SELECT_ACCOUNT = "select_account"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A request that every rule accepted. `resource` is the URL of a declared resource, `redirect_uri` as sent.

    `scopes` are those asked for that this client may have; `grantable_scopes` says which of them this person may grant.
    `dropped` are the others that were asked for.
    `subject` is the person whom it must be about, when the client knows them already.
    """

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    resource: str
    code_challenge: str
    dropped: tuple[str, ...] = ()
    state: str | None = None
    nonce: str | None = None
    prompts: frozenset[Prompt] = frozenset()
    max_age_seconds: int | None = None
    subject: str | None = None
    login_hint: str | None = None
    ui_locales: str | None = None


def read_request(
    form: Form, client: Client, redirect_uri: str, resources: Resources, subject: str | None
) -> AuthorizationRequest:
    """The request as a value. Raises `InvalidTarget` or `InvalidScope`; all else was judged by the rules."""
    resource = resources.resolve(form.all("resource"), client)
    wanted, scopes = _narrow(form.get("scope"), client, resource)
    max_age = form.get("max_age")
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        scopes=scopes,
        dropped=tuple(scope for scope in wanted if scope not in scopes),
        resource=resource.url,
        code_challenge=form.require("code_challenge"),
        state=form.get("state"),
        nonce=form.get("nonce"),
        prompts=parse_prompts(form.get("prompt")),
        max_age_seconds=int(max_age) if max_age is not None else None,
        subject=subject,
        login_hint=form.get("login_hint"),
        ui_locales=form.get("ui_locales"),
    )


def parse_prompts(text: str | None) -> frozenset[Prompt]:
    """Raises `InvalidRequest` for a value that is not known."""
    try:
        return frozenset(Prompt(part) for part in (text or "").split())
    except ValueError as error:
        raise InvalidRequest("prompt holds a value that is not known") from error


def _narrow(text: str | None, client: Client, resource: Resource) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was asked for, and what is left of it without the scopes that are unknown or not the client's: the token
    answer says what was granted (RFC 6749 section 3.3).
    """
    wanted = client.default_scopes if text is None else parse_scope(text)
    offered = client.scopes & (resource.scopes.keys() | IDENTITY_SCOPES)
    scopes = tuple(scope for scope in wanted if scope in offered)
    if not scopes:
        raise InvalidScope("none of the scopes is known here and the client's to ask for")
    return wanted, scopes
