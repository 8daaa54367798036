"""A user's browser, which signs in with a company account for an app and gets its tokens."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2

CALLBACK = "http://127.0.0.1:7777/callback"


class Form(HTMLParser):
    """The action and the hidden fields of the form of a page, and the links of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.action, self.fields, self.links = "", {}, []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "form":
            self.action = given["action"]
        if tag == "input" and given.get("name"):
            self.fields[given["name"]] = given.get("value") or ""


@dataclass
class Browser:
    """A user's browser with cookies for all hosts. It allows what apps request.

    The app is a public client with the id `app` and the redirect URI `CALLBACK`. If there are several identity
    providers, the user chooses `provider`.
    """

    issuer: str
    http: httpx2.Client
    provider: str = "company"

    def tokens(self, scope: str, *, resource: str | None = None) -> dict[str, Any]:
        """The token response for an authorization request of the app, by default for the default resource."""
        verifier = secrets.token_urlsafe(48)
        address, answer = self._visit(self._authorization_url(scope, verifier, resource))
        assert address.startswith(CALLBACK), answer.text
        (code,) = parse_qs(urlsplit(address).query)["code"]
        form = {
            "grant_type": "authorization_code",
            "client_id": "app",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": CALLBACK,
        }
        return self.http.post(f"{self.issuer}/oauth2/token", data=form).json()

    def page_after_sign_in(self, scope: str) -> httpx2.Response:
        """The page at which a sign-in ends that does not lead back to the app."""
        address, answer = self._visit(self._authorization_url(scope, secrets.token_urlsafe(48)))
        assert not address.startswith(CALLBACK), address
        return answer

    def refresh(self, tokens: dict[str, Any]) -> dict[str, Any]:
        form = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": tokens["refresh_token"]}
        return self.http.post(f"{self.issuer}/oauth2/token", data=form).json()

    def sign_out_at(self, provider: str) -> None:
        page = Form(self.http.get(f"{provider}/session/end").text)
        assert self.http.post(page.action, data={**page.fields, "logout": "yes"}).status_code == 303

    def _authorization_url(self, scope: str, verifier: str, resource: str | None = None) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": "app",
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "scope": scope,
            **({"resource": resource} if resource is not None else {}),
        }
        return f"{self.issuer}/oauth2/authorize?{urlencode(query)}"

    def _visit(self, address: str) -> tuple[str, httpx2.Response]:
        """Follows redirects, chooses the provider, and allows on the consent page.

        Returns when the app has the browser or another page is shown.
        """
        while True:
            answer = self.http.get(address)
            page = Form(answer.text)
            if urlsplit(address).path == "/oauth2/sign-in" and page.links:
                chosen = next(link for link in page.links if urlsplit(link).path.endswith(f"/{self.provider}"))
                address = urljoin(address, chosen)
                continue
            if page.action == "/oauth2/consent":
                answer = self.http.post(urljoin(address, page.action), data={**page.fields, "action": "allow"})
            if "location" not in answer.headers:
                return address, answer
            address = urljoin(address, answer.headers["location"])
            if address.startswith(CALLBACK):
                return address, answer
