"""The token of a request: from the Authorization header, and nowhere else (RFC 6750 section 2)."""

from security_common.guard.headers import RequestHeaders
from security_common.guard.refusals import InvalidRequest, MissingToken

__all__ = ["read_bearer_token"]


def read_bearer_token(headers: RequestHeaders, query_string: bytes) -> str:
    """The token, not looked at yet. A token in the query or the body does not count: URLs end up in logs.

    Raises:
        MissingToken: no Authorization header, or one of another scheme.
        InvalidRequest: two of them, or one beside a token in the query.

    """
    value = headers.one(b"authorization")
    if value is None:
        raise MissingToken("this needs an access token", hint=HINT)
    if query_string and _names_access_token(query_string):
        raise InvalidRequest("the request has a token in its header and one in its query")
    scheme, _, token = value.partition(" ")
    if scheme.lower() != "bearer":
        raise MissingToken("this needs an access token as Authorization: Bearer", hint=HINT)
    return token.strip(" ")


HINT = "read resource_metadata, ask one of its authorization servers for a token, send it as Authorization: Bearer"


def _names_access_token(query_string: bytes) -> bool:
    return any(part.partition(b"=")[0] == b"access_token" for part in query_string.split(b"&"))
