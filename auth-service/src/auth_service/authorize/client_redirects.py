"""Redirects to a client (RFC 6749 section 4.1.2), and when a browser may follow one without a question.

Anyone can register a client with any address. If errors were always redirected there, a link to this server could lead
to any site: an open redirector (RFC 9700 section 4.11.2). So an unverified address is used only for users who have
consented to the client, or as a button that names the host.
"""

from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

from markupsafe import Markup
from starlette.responses import Response

from auth_service.clients.client import UNNAMED_CLIENT, Client
from auth_service.clients.loopback_redirects import is_loopback_redirect
from auth_service.declaration_file import AUDIT_PAGE_NAME
from auth_service.errors import OAuthError
from auth_service.http.responses import see_other
from auth_service.web.error_pages import NextStep
from auth_service.web.language import Language
from auth_service.web.pages import Pages
from auth_service.web.visible_names import unverified_name

__all__ = [
    "add_query",
    "button_to",
    "client_name",
    "error_parameters",
    "is_audit_page",
    "is_trusted_target",
    "redirect_to_client",
    "target_name",
]


def redirect_to_client(redirect_uri: str, parameters: Mapping[str, str], *, issuer: str, state: str | None) -> Response:
    """A redirect with `iss`, on success and error alike (RFC 9207), and with `state` as the client sent it."""
    query = {**parameters, "iss": issuer} if state is None else {**parameters, "state": state, "iss": issuer}
    return see_other(add_query(redirect_uri, query))


def add_query(address: str, parameters: Mapping[str, str]) -> str:
    """The address with these parameters added to its query."""
    separator = "&" if "?" in address else "?"
    return f"{address}{separator}{urlencode(parameters, quote_via=quote, safe='')}"


def error_parameters(error: OAuthError) -> dict[str, str]:
    """The parameters of an error redirect (RFC 6749 section 4.1.2.1)."""
    return {"error": error.error, "error_description": error.description}


def is_trusted_target(client: Client, address: str) -> bool:
    """Whether the operator declared the address, or it is on the user's own computer."""
    return client.is_from_operator or is_loopback_redirect(address)


def target_name(address: str) -> str:
    """The host of an address; for a private-use scheme the scheme, which names an application of the device."""
    parts = urlsplit(address)
    return parts.netloc if parts.scheme in {"http", "https"} else f"{parts.scheme}:"


def client_name(client: Client, redirect_uri: str, pages: Pages, language: Language) -> Markup:
    """The name of the client on a page: the name it chose, or else its host, or else that it has none."""
    if is_audit_page(client):
        return pages.text(language, "client.audit_page")
    return _chosen_name(client, redirect_uri) or pages.text(language, "client.nameless")


def is_audit_page(client: Client) -> bool:
    """Whether it is the built-in client of the audit page, whose name pages translate."""
    return client.is_from_operator and client.name == AUDIT_PAGE_NAME


def _chosen_name(client: Client, redirect_uri: str) -> Markup | None:
    """The name that the client chose, or else its host. None if neither is visible."""
    name = unverified_name(client.name) if client.name != UNNAMED_CLIENT else None
    if name is not None or is_loopback_redirect(redirect_uri):
        return name
    return unverified_name(client.host or target_name(redirect_uri))


def button_to(address: str) -> NextStep:
    """A button with the host that it leads to."""
    return NextStep("next_step.to_host", address, {"host": target_name(address)})
