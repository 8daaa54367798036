"""The guard's own responses: refusals (RFC 6750 section 3), CORS preflights and the metadata (RFC 9728)."""

import json
from hashlib import sha256
from typing import Any

from security_common.edge import HttpResponse, InvalidRequest, Refusal, RequestHeaders
from security_common.edge.entity_tags import is_unmodified
from security_common.edge.refusals import REFUSAL_HEADERS, refusal_members
from security_common.guard.policy import PROTECTED_RESOURCE_METADATA_PATH, ProtectedResource
from security_common.guard.refusals import InsufficientScope, InvalidJsonRpcMessage, InvalidToken, MissingToken

__all__ = ["BROWSER_FILE_NOT_FOUND", "MetadataDocument", "preflight_response", "refusal_response"]

BROWSER_FILE_NOT_FOUND = HttpResponse(
    404, b"Not found\n", ((b"content-type", b"text/plain"), (b"cache-control", b"max-age=86400"))
)
"""For files that browsers request on their own. It has no challenge, and is cached for a day."""

_CHALLENGED = (InvalidRequest, MissingToken, InvalidToken, InsufficientScope)
_PREFLIGHT_SECONDS = b"600"
_METHODS = b"GET, POST, PUT, PATCH, DELETE, OPTIONS"
_ANY_ORIGIN = (b"access-control-allow-origin", b"*")


def refusal_response(refusal: Refusal, resource: ProtectedResource) -> HttpResponse:
    """The response to a refused request."""
    if isinstance(refusal, InvalidJsonRpcMessage):
        error = {"code": refusal.json_rpc_code, "message": refusal.description}
        members: dict[str, Any] = {"jsonrpc": "2.0", "id": None, "error": error}
    else:
        members = _error_members(refusal, resource)
    headers = list(REFUSAL_HEADERS)
    if isinstance(refusal, _CHALLENGED):
        headers.append((b"www-authenticate", _challenge(refusal, resource).encode("latin-1", "replace")))
    if refusal.retry_after_seconds is not None:
        headers.append((b"retry-after", str(refusal.retry_after_seconds).encode()))
    return HttpResponse(refusal.status, json.dumps(members, ensure_ascii=False).encode(), tuple(headers))


def _error_members(refusal: Refusal, resource: ProtectedResource) -> dict[str, Any]:
    members: dict[str, Any] = {**refusal_members(refusal)}
    if isinstance(refusal, _CHALLENGED):
        members["resource_metadata"] = resource.metadata_url
        members["authorization_servers"] = list(resource.authorization_servers)
        members["scope"] = " ".join(_needed_scopes(refusal, resource))
        if resource.documentation:
            members["documentation"] = resource.documentation
    if isinstance(refusal, InsufficientScope) and refusal.tool_name:
        members["tool"] = refusal.tool_name
    return members


def _challenge(refusal: Refusal, resource: ProtectedResource) -> str:
    parameters: dict[str, str] = {}
    if not isinstance(refusal, MissingToken):
        parameters |= {"error": refusal.error, "error_description": refusal.description}
    scopes = _needed_scopes(refusal, resource)
    if scopes:
        parameters["scope"] = " ".join(scopes)
    parameters["resource_metadata"] = resource.metadata_url
    return "Bearer " + ", ".join(f'{name}="{_quoted(value)}"' for name, value in parameters.items())


def _needed_scopes(refusal: Refusal, resource: ProtectedResource) -> list[str]:
    return list(refusal.scopes if isinstance(refusal, InsufficientScope) else resource.scopes)


def _quoted(value: str) -> str:
    """The content of a quoted-string (RFC 9110 section 5.6.4), without characters that could end the header line."""
    printable = "".join(character for character in value if character.isprintable())
    return printable.replace("\\", "\\\\").replace('"', '\\"')


def preflight_response(headers: RequestHeaders) -> HttpResponse:
    """Allows the headers that the page wants to send. The caller has checked the origin.

    That is safe because a browser never adds a bearer token on its own.
    """
    requested = headers.last(b"access-control-request-headers") or "authorization"
    allowed = "".join(character for character in requested if character.isprintable()).encode("latin-1")
    return HttpResponse(
        204,
        headers=(
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", allowed),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
        ),
    )


class MetadataDocument:
    """The protected-resource metadata. Its path is the well-known path followed by the path of the resource.

    With `at_root`, it is also at the well-known path alone.

    Pages of every origin may read it: a client needs it before it has a token.
    """

    def __init__(self, resource: ProtectedResource, *, at_root: bool = True) -> None:
        members: dict[str, Any] = {
            "resource": resource.url,
            "authorization_servers": list(resource.authorization_servers),
            "bearer_methods_supported": ["header"],
        }
        if resource.scopes:
            members["scopes_supported"] = list(resource.scopes)
        if resource.documentation:
            members["resource_documentation"] = resource.documentation
        self._body = json.dumps(members).encode()
        self._etag = f'"{sha256(self._body).hexdigest()[:32]}"'
        root = (PROTECTED_RESOURCE_METADATA_PATH,) if at_root else ()
        self.paths = frozenset({*root, resource.metadata_path.rstrip("/")})
        """The paths of the document. A trailing slash is ignored, as in the resource's URL."""

    def respond(self, method: str, headers: RequestHeaders) -> HttpResponse:
        """The document, 304 when the client has it, or the response to a preflight."""
        if method == "OPTIONS":
            return HttpResponse(204, headers=(_ANY_ORIGIN, *preflight_response(headers).headers))
        if method not in {"GET", "HEAD"}:
            return HttpResponse(405, headers=(_ANY_ORIGIN, (b"allow", b"GET, HEAD, OPTIONS")))
        common = (_ANY_ORIGIN, (b"cache-control", b"public, max-age=3600"), (b"etag", self._etag.encode()))
        if is_unmodified([headers.last(b"if-none-match") or ""], self._etag):
            return HttpResponse(304, headers=common)
        return HttpResponse(200, self._body, ((b"content-type", b"application/json"), *common))
