"""Responses that several packages send: JSON, OAuth errors and redirects (RFC 6749 section 5, RFC 6750 section 3)."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

from pydantic_core import to_json
from starlette.responses import Response

from auth_service.errors import InsufficientScope, InvalidClient, InvalidToken, OAuthError

__all__ = ["NO_STORE", "Header", "add_headers", "error_response", "json_response", "see_other"]

Header: TypeAlias = tuple[str, str]

NO_STORE: Mapping[str, str] = {"cache-control": "no-store", "pragma": "no-cache"}

# RFC 3986 section 2; everything else is percent-encoded before it is written into the header.
_URI_CHARACTERS = ":/?#[]@!$&'()*+,;=%"


def json_response(members: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] = NO_STORE) -> Response:
    """A JSON object in UTF-8. Caches must not store it unless `headers` say otherwise."""
    return Response(to_json(members), status_code=status, media_type="application/json", headers=headers)


def error_response(error: OAuthError, *, issuer: str) -> Response:
    """`error` and `error_description` as JSON, with the challenge and the Retry-After header that belong to the code.

    `issuer` is the realm of the challenge.
    """
    headers = dict(NO_STORE)
    if isinstance(error, InvalidClient):
        headers["www-authenticate"] = f'Basic realm="{issuer}", charset="UTF-8"'
    elif isinstance(error, InvalidToken | InsufficientScope):
        headers["www-authenticate"] = (
            f'Bearer realm="{issuer}", error="{error.error}", error_description="{error.description}"'
        )
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(error.retry_after_seconds)
    members = {"error": error.error, "error_description": error.description}
    return json_response(members, status=error.status, headers=headers)


def see_other(address: str, *headers: Header) -> Response:
    """A redirect with status 303: after 307 a browser would post the password again (RFC 9700 section 4.12)."""
    response = Response(
        status_code=303,
        headers={
            "location": quote(address, safe=_URI_CHARACTERS),
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
        },
    )
    return add_headers(response, headers)


def add_headers(response: Response, headers: Iterable[Header]) -> Response:
    """Appends headers, so that a name may occur several times (`set-cookie`). Returns the response."""
    for name, value in headers:
        response.headers.append(name, value)
    return response
