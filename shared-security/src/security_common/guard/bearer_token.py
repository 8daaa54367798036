"""The access token of a request: from the Authorization header only (RFC 6750 section 2.1)."""

from security_common.edge import InvalidRequest, RequestHeaders
from security_common.guard.refusals import MissingToken

__all__ = ["read_bearer_token"]

_HINT = "read resource_metadata, get a token from one of its authorization servers, send it as Authorization: Bearer"


def read_bearer_token(headers: RequestHeaders, query_string: bytes) -> str:
    """The token, not verified.

    Only the Authorization header counts: URLs end up in logs, and a body is not read before its token is verified.

    Raises:
        MissingToken: there is no Authorization header, or it uses another scheme.
        InvalidRequest: there are two of them, or there is also a token in the query.

    """
    value = headers.one(b"authorization")
    if value is None:
        raise MissingToken("this request needs an access token", hint=_HINT)
    if query_string and _has_access_token(query_string):
        raise InvalidRequest(
            "the request has a token in its header and another one in its query",
            hint="send the token once, as a header",
        )
    scheme, _, token = value.partition(" ")
    if scheme.lower() != "bearer":
        raise MissingToken("this request needs an access token as Authorization: Bearer", hint=_HINT)
    return token.strip(" ")


def _has_access_token(query_string: bytes) -> bool:
    return any(field.partition(b"=")[0] == b"access_token" for field in query_string.split(b"&"))
