"""The protected-resource document, where clients look for it: at the root and with the resource's path (RFC 9728)."""

import json
from hashlib import sha256
from typing import Any

from security_common.guard.answers import Answer
from security_common.guard.headers import RequestHeaders
from security_common.guard.origins import preflight_answer
from security_common.guard.policy import WELL_KNOWN, ProtectedResource

__all__ = ["MetadataDocument"]

CORS = (b"access-control-allow-origin", b"*")


class MetadataDocument:
    """Made once. Any origin may read it: it holds what a client needs before it has anything."""

    def __init__(self, resource: ProtectedResource) -> None:
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
        self._paths = {WELL_KNOWN, resource.metadata_path.rstrip("/")}

    def is_at(self, path: str) -> bool:
        # Who types the resource with a slash behind it asks with one here too.
        return path.removesuffix("/") in self._paths

    def answer(self, method: str, headers: RequestHeaders) -> Answer:
        if method == "OPTIONS":
            return Answer(204, headers=(CORS, *preflight_answer(headers).headers))
        if method not in {"GET", "HEAD"}:
            return Answer(405, headers=(CORS, (b"allow", b"GET, HEAD, OPTIONS")))
        kept = (CORS, (b"cache-control", b"public, max-age=3600"), (b"etag", self._etag.encode()))
        if headers.last(b"if-none-match") == self._etag:
            return Answer(304, headers=kept)
        return Answer(200, self._body, ((b"content-type", b"application/json"), *kept))
