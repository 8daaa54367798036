"""A user with a browser (HTML forms and cookies), and the client that sends the user to the server."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import jwt

CALLBACK = "http://127.0.0.1:7777/callback"
RESOURCE = "http://localhost:8082/mcp"

DECLARATION = f"""
clients:
  - client_id: app
    name: Example application
    grant_types: [authorization_code, refresh_token]
    redirect_uris: [{CALLBACK}, "https://app.example/callback?tenant=1", "http://localhost/callback"]
    post_logout_redirect_uris: [https://app.example/bye, http://localhost/bye]
    scopes: [openid, profile, email, offline_access, mcp.access, mcp.decrypt, mcp.audit]
  - client_id: other
    grant_types: [authorization_code, refresh_token]
    redirect_uris: [{CALLBACK}]
    scopes: [mcp.access]
  - client_id: without-codes
    grant_types: [refresh_token]
    redirect_uris: [{CALLBACK}]
    scopes: [mcp.access]
"""


class Page(HTMLParser):
    """The parts of a page that tests use: the fields of its form, its text, and its links by their text.

    `links` are those of the page's content, `footer_links` those that every page has below it.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.action = ""
        self.words: list[str] = []
        self.links: dict[str, str] = {}
        self.footer_links: dict[str, str] = {}
        self._is_in_footer = False
        self._link: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = given["action"]
        if tag == "input":
            self.fields[given["name"]] = given.get("value", "")

        if tag == "footer":
            self._is_in_footer = True
        if tag == "a":
            self._link = given["href"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._link is not None:
            (self.footer_links if self._is_in_footer else self.links)[data] = self._link
            self._link = None

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@dataclass
class Request:
    """An authorization request. `changes` replace parameters; None removes one."""

    client_id: str
    changes: dict[str, str | None] = field(default_factory=dict)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def parameters(self) -> dict[str, str]:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        usual = {
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "scope": "mcp.access",
            "state": "some state",
        }
        return {name: value for name, value in {**usual, **self.changes}.items() if value is not None}

    @property
    def path(self) -> str:
        return f"/oauth2/authorize?{urlencode(self.parameters)}"


class Person:
    """One browser. `walk` follows redirects on the server's own pages and stops at the client's address."""

    def __init__(self, address: str, *, source: str = "127.0.0.1", language: str = "en") -> None:
        headers = {"accept-language": language, "x-forwarded-for": source}
        # Plain HTTP: the machine's certificates need not be loaded.
        self.http = httpx2.Client(base_url=address, timeout=20, headers=headers, verify=False)

    def open(self, path: str) -> httpx2.Response:
        return self._walk(self.http.get(path))

    def submit(self, page: httpx2.Response, **fields: str) -> httpx2.Response:
        form = Page(page.text)
        return self._walk(self.http.post(form.action, data={**form.fields, **fields}))

    def sign_in(self, page: httpx2.Response, username: str = "demo", password: str = "demo") -> httpx2.Response:
        return self.submit(page, username=username, password=password, action="sign_in")

    def allow(self, page: httpx2.Response) -> httpx2.Response:
        return self.submit(page, action="allow")

    def grant(self, request: Request) -> dict[str, str]:
        """Completes the request on all pages that are shown; returns the parameters of the redirect to the client."""
        answer = self.open(request.path)
        if Page(answer.text).action == "/oauth2/sign-in":
            answer = self.sign_in(answer)
        if Page(answer.text).action == "/oauth2/consent":
            answer = self.allow(answer)
        return sent_to_client(answer)

    def _walk(self, answer: httpx2.Response) -> httpx2.Response:
        while answer.status_code == 303 and answer.headers["location"].startswith("/oauth2/"):
            answer = self.http.get(answer.headers["location"])
        return answer


def sent_to_client(answer: httpx2.Response) -> dict[str, str]:
    """The parameters of a redirect to the client."""
    assert answer.status_code == 303, answer.text
    parsed = parse_qs(urlsplit(answer.headers["location"]).query, strict_parsing=True)
    assert all(len(values) == 1 for values in parsed.values())
    return {name: values[0] for name, values in parsed.items()}


def redeem(http: httpx2.Client, request: Request, code: str, **changes: Any) -> httpx2.Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": request.client_id,
        "redirect_uri": request.parameters["redirect_uri"],
        "code_verifier": request.verifier,
        **changes,
    }
    return http.post("/oauth2/token", data={name: value for name, value in form.items() if value is not None})


def refresh(http: httpx2.Client, client_id: str, token: str, **changes: str) -> httpx2.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id, **changes}
    return http.post("/oauth2/token", data=form)


def audiences_of(token: str) -> list[str]:
    """The `aud` of an access token as a list: one with the scope `openid` names userinfo after the resource."""
    audience: str | list[str] = jwt.decode(token, options={"verify_signature": False})["aud"]
    return [audience] if isinstance(audience, str) else audience
