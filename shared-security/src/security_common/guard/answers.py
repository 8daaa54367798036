"""Refusals as responses: the challenge for programs (RFC 6750 section 3), a body that says how to go on."""

import json
from dataclasses import dataclass
from typing import Any

from security_common.guard.asgi import Send
from security_common.guard.policy import ProtectedResource
from security_common.guard.refusals import MissingToken, Refusal, UnreadableCall

__all__ = ["NOTHING_HERE", "Answer", "refusal_answer"]

PARSE_ERROR = -32700


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response; header names in lower case."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def send(self, send: Send) -> None:
        headers = [*self.headers]
        if self.status not in {204, 304}:  # they have no content (RFC 9110 section 8.6)
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


NOTHING_HERE = Answer(404, b"Not found\n", ((b"content-type", b"text/plain"), (b"cache-control", b"max-age=86400")))
"""To a browser that asks for a file by itself: no challenge, and no need to ask again today."""


def refusal_answer(refusal: Refusal, resource: ProtectedResource) -> Answer:
    """The response to a refused request."""
    if isinstance(refusal, UnreadableCall):
        error = {"code": PARSE_ERROR, "message": refusal.description}
        members: dict[str, Any] = {"jsonrpc": "2.0", "id": None, "error": error}
    else:
        members = _error(refusal, resource)
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if refusal.challenged:
        headers.append((b"www-authenticate", _challenge(refusal, resource).encode("latin-1", "replace")))
    if refusal.retry_after_seconds is not None:
        headers.append((b"retry-after", str(refusal.retry_after_seconds).encode()))
    return Answer(refusal.status, json.dumps(members, ensure_ascii=False).encode(), tuple(headers))


def _challenge(refusal: Refusal, resource: ProtectedResource) -> str:
    parameters: dict[str, str] = {}
    if not isinstance(refusal, MissingToken):
        parameters |= {"error": refusal.error, "error_description": refusal.description}
    scopes = refusal.scopes or resource.scopes
    if scopes:
        parameters["scope"] = " ".join(scopes)
    parameters["resource_metadata"] = resource.metadata_url
    return "Bearer " + ", ".join(f'{name}="{_quoted(value)}"' for name, value in parameters.items())


def _quoted(value: str) -> str:
    """The inside of a quoted-string (RFC 9110 section 5.6.4); what could end the header line is dropped."""
    return "".join(each for each in value if each.isprintable()).replace("\\", "\\\\").replace('"', '\\"')


def _error(refusal: Refusal, resource: ProtectedResource) -> dict[str, Any]:
    members: dict[str, Any] = {"error": refusal.error, "error_description": refusal.description}
    if refusal.hint:
        members["hint"] = refusal.hint
    if refusal.challenged:
        members["resource_metadata"] = resource.metadata_url
        members["authorization_servers"] = list(resource.authorization_servers)
        members["scope"] = " ".join(refusal.scopes or resource.scopes)
        if resource.documentation:
            members["documentation"] = resource.documentation
    if refusal.tool_name:
        members["tool"] = refusal.tool_name
    return members
