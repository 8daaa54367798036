"""What an authorization request must be, rule by rule.

Until the redirect URI is known to be the client's, an error is a page: it must not travel to an address that a stranger
chose (RFC 9700 section 4.11). After that it travels in the redirect.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from auth_service.authorize.client_lookup import look_up_client
from auth_service.authorize.errors import ClientUnknown, RedirectRefused
from auth_service.authorize.request import Prompt, parse_prompts
from auth_service.clients.client import Client
from auth_service.clients.client_directory import ClientDirectory
from auth_service.clients.loopback_redirects import matches_registered
from auth_service.errors import (
    InvalidRequest,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseMode,
    UnsupportedResponseType,
)
from auth_service.http.forms import Form
from auth_service.protocol import GrantType

__all__ = ["REDIRECT_RULES", "RULES", "Inquiry", "find_client", "find_redirect"]

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_MAX_AGE = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A request whose client is known."""

    form: Form
    client: Client


async def find_client(form: Form, directory: ClientDirectory, source_address: str) -> Client:
    """The client that the request names. Raises what `look_up_client` raises, pages."""
    client_id = form.get("client_id")
    if client_id is None or "client_id" in form.repeated:
        raise ClientUnknown("client_id is missing or repeated")
    return await look_up_client(client_id, directory, source_address=source_address, ui_locales=form.get("ui_locales"))


def find_redirect(inquiry: Inquiry) -> str:
    """Where the answer goes. Raises `RedirectRefused`, a page."""
    for check in REDIRECT_RULES:
        check(inquiry)
    return inquiry.form.require("redirect_uri")


def require_one_redirect(inquiry: Inquiry) -> None:
    """Always named, even where only one is registered (OAuth 2.1 section 4.1.1)."""
    if inquiry.form.get("redirect_uri") is None or "redirect_uri" in inquiry.form.repeated:
        raise RedirectRefused("redirect_uri is missing or repeated")


def require_registered_redirect(inquiry: Inquiry) -> None:
    if not matches_registered(inquiry.form.get("redirect_uri") or "", inquiry.client.redirect_uris):
        raise RedirectRefused("redirect_uri is not one that the client registered")


REDIRECT_RULES: tuple[Callable[[Inquiry], None], ...] = (require_one_redirect, require_registered_redirect)


def refuse_repeated_parameters(inquiry: Inquiry) -> None:
    if inquiry.form.repeated:
        raise InvalidRequest("a parameter is repeated; each may occur once")


def refuse_request_objects(inquiry: Inquiry) -> None:
    if "request" in inquiry.form:
        raise RequestNotSupported("request objects are not read")


def refuse_request_uris(inquiry: Inquiry) -> None:
    if "request_uri" in inquiry.form:
        raise RequestUriNotSupported("request objects are not fetched")


def refuse_registration(inquiry: Inquiry) -> None:
    if "registration" in inquiry.form:
        raise RegistrationNotSupported("clients register at the registration endpoint")


def require_code_response(inquiry: Inquiry) -> None:
    if inquiry.form.require("response_type") != "code":
        raise UnsupportedResponseType("response_type must be code")


def require_query_mode(inquiry: Inquiry) -> None:
    if inquiry.form.get("response_mode") not in {None, "query"}:
        raise UnsupportedResponseMode("response_mode must be query")


def require_code_grant(inquiry: Inquiry) -> None:
    if GrantType.AUTHORIZATION_CODE not in inquiry.client.grant_types:
        raise UnauthorizedClient("the client may not use authorization_code")


def require_pkce(inquiry: Inquiry) -> None:
    """Of every client, not only public ones (RFC 9700 section 2.1.1)."""
    if not _CHALLENGE.fullmatch(inquiry.form.get("code_challenge") or ""):
        raise InvalidRequest("code_challenge must be the 43 characters of an S256 challenge (RFC 7636)")


def require_s256(inquiry: Inquiry) -> None:
    """A challenge without a method means plain (RFC 7636 section 4.3), which is refused."""
    if inquiry.form.get("code_challenge_method") != "S256":
        raise InvalidRequest("code_challenge_method must be S256 (RFC 7636)")


def check_prompt(inquiry: Inquiry) -> None:
    prompts = parse_prompts(inquiry.form.get("prompt"))
    if Prompt.NONE in prompts and len(prompts) > 1:
        raise InvalidRequest("prompt=none goes with no other value")


def check_max_age(inquiry: Inquiry) -> None:
    if not _MAX_AGE.fullmatch(inquiry.form.get("max_age") or "0"):
        raise InvalidRequest("max_age must be a number of seconds")


RULES: tuple[Callable[[Inquiry], None], ...] = (
    refuse_repeated_parameters,
    refuse_request_objects,
    refuse_request_uris,
    refuse_registration,
    require_code_response,
    require_query_mode,
    require_code_grant,
    require_pkce,
    require_s256,
    check_prompt,
    check_max_age,
)
