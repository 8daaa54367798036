"""Reads the client credentials of a request; nothing is verified here (RFC 6749 section 2.3, RFC 7521)."""

from base64 import b64decode
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from joserfc import jws
from joserfc.errors import JoseError

from auth_service.clients.client_metadata import parse_members
from auth_service.errors import InvalidClient, InvalidRequest
from auth_service.http.forms import Form
from auth_service.http.parameters import Parameter
from auth_service.protocol import AuthMethod

__all__ = [
    "CLIENT_PARAMETERS",
    "CREDENTIAL_RULES",
    "REFUSAL",
    "Credentials",
    "find_assertion",
    "find_credentials",
    "has_client_authentication",
]

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

CLIENT_PARAMETERS = (
    Parameter("client_id", "The client, unless the Authorization header or the assertion names it."),
    Parameter("client_secret", "The client's secret (client_secret_post)."),
    Parameter("client_assertion", "A JWT signed by the client (private_key_jwt), or by the platform of a workload."),
    Parameter("client_assertion_type", f"With client_assertion: {_ASSERTION_TYPE}."),
)
"""The form parameters of client authentication (RFC 6749 section 2.3.1, RFC 7521 section 4.2)."""

# One text for every failure: a response must not distinguish an unknown client from a wrong secret.
REFUSAL = "client authentication failed"

_MAX_ASSERTION_LENGTH = 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The client_id that a request names, and how it authenticates; `proof` is the secret or the assertion."""

    client_id: str
    method: AuthMethod
    proof: str = field(default="", repr=False)


def find_credentials(authorization: Sequence[str], form: Form) -> tuple[Credentials, ...]:
    """The credentials of the request, in each way that they can be read; at least one.

    Only HTTP Basic can be read in two ways: RFC 6749 section 2.3.1 requires both parts to be form-encoded, but most
    clients (curl, httpx, requests, Authlib) send them without encoding.

    `authorization` are the values of the Authorization headers. Raises `InvalidRequest` for more than one
    authentication method, `InvalidClient` for none or malformed credentials.
    """
    for check in CREDENTIAL_RULES:
        check(authorization, form)
    if authorization:
        return _check_client_id(_read_basic(authorization[0]), form)
    if "client_assertion" in form:
        credentials = _read_assertion(form)
        if form.get("client_id") not in {None, credentials.client_id}:
            raise InvalidClient(REFUSAL)
        return (credentials,)
    client_id = form.get("client_id")
    if client_id is None:
        raise InvalidClient(REFUSAL)
    method = AuthMethod.CLIENT_SECRET_POST if "client_secret" in form else AuthMethod.NONE
    return (Credentials(client_id=client_id, method=method, proof=form.get("client_secret") or ""),)


def has_client_authentication(authorization: Sequence[str], form: Form) -> bool:
    """Whether the request authenticates its client, and does not only name it."""
    return bool(authorization) or "client_secret" in form or "client_assertion" in form


def find_assertion(authorization: Sequence[str], form: Form) -> str | None:
    """The client assertion; None if there is none, or the request breaks `CREDENTIAL_RULES`."""
    has_other_method = bool(authorization) or "client_secret" in form
    if has_other_method or form.get("client_assertion_type") != _ASSERTION_TYPE:
        return None
    return form.get("client_assertion")


def _check_client_id(readings: tuple[Credentials, ...], form: Form) -> tuple[Credentials, ...]:
    """Some clients send `client_id` in the body as well: it must be the one in the header."""
    client_id = form.get("client_id")
    if client_id is None:
        return readings
    matching = tuple(reading for reading in readings if reading.client_id == client_id)
    if not matching:
        raise InvalidRequest("client_id differs from the one in the Authorization header")
    return matching


def refuse_two_methods(authorization: Sequence[str], form: Form) -> None:
    """RFC 6749 section 2.3: a client MUST NOT use more than one method in a request."""
    methods = ["authorization" for _ in authorization]
    methods += [name for name in ("client_secret", "client_assertion") if name in form]
    if len(methods) > 1:
        raise InvalidRequest("use one authentication method only (RFC 6749 section 2.3)")


def refuse_other_assertion_types(_authorization: Sequence[str], form: Form) -> None:
    if "client_assertion" in form and form.get("client_assertion_type") != _ASSERTION_TYPE:
        raise InvalidClient(REFUSAL)


CREDENTIAL_RULES: tuple[Callable[[Sequence[str], Form], None], ...] = (refuse_two_methods, refuse_other_assertion_types)


def _read_basic(header: str) -> tuple[Credentials, ...]:
    """Form-encoded (RFC 6749 section 2.3.1), then literal (RFC 7617) if that is different."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient(REFUSAL)
    try:
        name, colon, secret = b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError as error:  # not ASCII, not Base64, or not UTF-8
        raise InvalidClient(REFUSAL) from error
    if not colon or not name:
        raise InvalidClient(REFUSAL)
    readings = [(name, secret)]
    # In a literal secret, a % may be followed by two hexadecimal digits that do not decode to UTF-8.
    with suppress(UnicodeDecodeError):
        readings.insert(0, (unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict")))
    return tuple(
        Credentials(client_id=client_id, method=AuthMethod.CLIENT_SECRET_BASIC, proof=proof)
        for client_id, proof in dict.fromkeys(readings)
    )


def _read_assertion(form: Form) -> Credentials:
    """The client in `sub` of the assertion, whose signature is not verified yet (RFC 7523 section 3)."""
    assertion = form.get("client_assertion") or ""
    if len(assertion) > _MAX_ASSERTION_LENGTH:
        raise InvalidClient(REFUSAL)
    try:
        claims = parse_members(jws.extract_compact(assertion.encode()).payload)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise InvalidClient(REFUSAL) from error
    subject: Any = claims.get("sub")
    if not isinstance(subject, str):
        raise InvalidClient(REFUSAL)
    return Credentials(client_id=subject, method=AuthMethod.PRIVATE_KEY_JWT, proof=assertion)
