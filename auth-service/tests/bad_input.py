"""Invalid requests with their expected responses. The numbers are those of docs/bad-input.md."""

import base64
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2

FORM = "application/x-www-form-urlencoded"
DEMO = {"grant_type": "client_credentials", "client_id": "mcp-client", "client_secret": "secret"}


# Makes a body that depends on the time, or on the address of the service, which is its argument.
MakeBody = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One request. `status` and `error` are expected; `rule` is the rule that only this row needs."""

    item: str
    case: str
    status: int
    error: str | None = None
    method: str = "POST"
    path: str = "/oauth2/token"
    body: bytes | Mapping[str, str] | MakeBody = field(default_factory=dict[str, str])
    content_type: str | None = FORM
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    answer_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    rule: str | None = None

    def __str__(self) -> str:
        return f"{self.item} {self.case}"

    def send(self, http: httpx2.Client) -> httpx2.Response:
        # Every request has an address of its own, so that rows do not reach the limits of others.
        headers = {"x-forwarded-for": f"10.{next(_addresses) >> 8}.{next(_addresses) & 255}.1", **self.headers}
        if self.content_type is not None and self.method == "POST":
            headers["content-type"] = self.content_type
        body = self.body(str(http.base_url)) if callable(self.body) else self.body
        content = body if isinstance(body, bytes) else urlencode(body).encode()
        return http.request(self.method, self.path, content=content if self.method == "POST" else None, headers=headers)

    def mistakes(self, answer: httpx2.Response) -> list[str]:
        """The differences between the response and the expected one."""
        found: list[str] = []
        if answer.status_code != self.status:
            found.append(f"status {answer.status_code}, not {self.status}")
        elif self.error is not None and self.error != (got := error_of(answer)):
            found.append(f"error {got}, not {self.error}")
        for name, value in self.answer_headers.items():
            if value not in answer.headers.get(name, ""):
                found.append(f"{name}: {answer.headers.get(name)}, not {value}")
        return found


_addresses = itertools.count()


def error_of(answer: httpx2.Response) -> Any:
    return answer.json().get("error") if answer.headers.get("content-type") == "application/json" else None


def demo(**changes: str | None) -> dict[str, str]:
    """The demo client's request with changes; None removes a parameter."""
    return {name: value for name, value in {**DEMO, **changes}.items() if value is not None}


def basic(client_id: str, secret: str) -> dict[str, str]:
    return raw_basic(f"{client_id}:{secret}".encode())


def raw_basic(credentials: bytes) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(credentials).decode()}"}
