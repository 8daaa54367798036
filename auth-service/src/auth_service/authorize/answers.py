"""Sending the browser on: to a page of ours, or back to the client with the answer (RFC 6749 section 4.1.2)."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from auth_service.errors import OAuthError
from auth_service.http.forms import parse_body
from auth_service.http.messages import Answer, HttpRequest

__all__ = ["client_answer", "error_parameters", "see_other"]

# RFC 3986 section 2; everything else is percent-encoded before it gets into the header.
_URI_CHARACTERS = ":/?#[]@!$&'()*+,;=%"


def see_other(address: str, *headers: tuple[str, str]) -> Answer:
    """303 always: after 307 a browser would send the password on (RFC 9700 section 4.12)."""
    location = quote(address, safe=_URI_CHARACTERS)
    return Answer(
        status=303,
        headers=(("location", location), ("cache-control", "no-store"), ("referrer-policy", "no-referrer"), *headers),
    )


def again_by_get(http: HttpRequest) -> Answer:
    """A form that another site posts comes without our cookies, which are SameSite=Lax; sent on by GET it has them.

    Raises `InvalidRequest`.
    """
    parse_body(http)
    return see_other(f"{http.path}?{quote(http.body, safe='&=+%')}")


def client_answer(redirect_uri: str, parameters: Mapping[str, str], *, issuer: str, state: str | None) -> Answer:
    """Back to the client, with `iss` on success and error alike (RFC 9207) and `state` as it was sent."""
    answer = {**parameters, "iss": issuer} if state is None else {**parameters, "state": state, "iss": issuer}
    separator = "&" if "?" in redirect_uri else "?"
    return see_other(f"{redirect_uri}{separator}{urlencode(answer, quote_via=quote)}")


def error_parameters(error: OAuthError) -> dict[str, str]:
    return {"error": error.error, "error_description": error.description}
