"""A token endpoint for the tests, which keeps what it received and issues numbered tokens."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from local_stack.loopback_issuer import http_answer

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


class TokenEndpoint:
    """Answers the token requests of a `LoopbackIssuer`. `members` are those of each response, after the token."""

    def __init__(self, name: str = "token", **members: Any) -> None:
        self.name = name
        self.members: dict[str, Any] = {"token_type": "Bearer", "expires_in": 300, **members}
        self.forms: list[dict[str, str]] = []
        self.headers: list[Mapping[str, str]] = []
        self.raw: bytes | None = None
        """The whole response, if it is not one with a token."""
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    @property
    def exchanges(self) -> list[dict[str, str]]:
        """The forms of token exchanges; the others are for the gateway's own requests."""
        return [form for form in self.forms if form["grant_type"] == EXCHANGE]

    async def __call__(self, headers: Mapping[str, str], writer: asyncio.StreamWriter) -> None:
        form = dict(parse_qsl(headers[":body"], strict_parsing=True))
        self.forms.append(form)
        self.headers.append(headers)
        await self.may_answer.wait()
        if self.raw is not None:
            writer.write(self.raw)
            return
        token = f"{self.name}-{len(self.forms)}-issued"
        writer.write(json_answer({"access_token": token, **self.members}))


def json_answer(members: Any, *, status: str = "200 OK") -> bytes:
    return http_answer(json.dumps(members).encode(), status=status, content_type="application/json")


def refusal(code: str, description: str = "") -> bytes:
    """An error response (RFC 6749 section 5.2)."""
    return json_answer({"error": code, "error_description": description}, status="400 Bad Request")
