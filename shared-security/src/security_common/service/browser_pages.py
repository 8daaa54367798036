"""Pages for people who open an address of a service in a browser: the start page at `/`, and errors.

Programs are not affected: a page is only sent for GET and HEAD without a token, to a client that names `text/html` in
Accept, as browsers do when a person opens an address. The status and headers of an error stay as they are, and errors
that a page of the service has answered already are passed on.
"""

import hashlib
import json
import tomllib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, Final, Literal, cast
from urllib.parse import parse_qs, urlsplit

from security_common.edge import Application, HttpResponse, Message, Receive, Scope, Send
from security_common.edge.content_negotiation import preferred_languages
from security_common.service.api_docs import DOCS_PATH
from security_common.service.readiness import Readiness
from security_common.service.web_application import ICON_PATH

__all__ = [
    "CARD_STYLE",
    "PAGE_STYLE",
    "BrowserPages",
    "Language",
    "StartPage",
    "StartPageLink",
    "link_to_api_docs",
    "link_to_client_address",
    "link_to_sign_in",
]

Language = Literal["en", "ko"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "ko")

_PACKAGE = files("security_common.service")
_TEXTS: Mapping[str, Mapping[str, str]] = tomllib.loads(
    _PACKAGE.joinpath("browser_pages.toml").read_text(encoding="utf-8")
)

PAGE_STYLE: Final = _PACKAGE.joinpath("pages.css").read_text(encoding="utf-8")
"""The style that the pages of all services begin with: colours, text and links."""

CARD_STYLE: Final = PAGE_STYLE + _PACKAGE.joinpath("card_page.css").read_text(encoding="utf-8")
"""The style of pages with one card in the middle."""

_STYLE = CARD_STYLE + _PACKAGE.joinpath("browser_page.css").read_text(encoding="utf-8")
_TEMPLATE = Template(_PACKAGE.joinpath("browser_page.html").read_text(encoding="utf-8"))
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY.encode()),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"vary", b"Accept, Accept-Language"),
)
# Headers of an error that describe its JSON body, or that the page replaces.
_REPLACED_HEADERS = frozenset(name for name, _ in _HEADERS) | {b"content-length"}
_MAX_ERROR_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class StartPageLink:
    """An address on the start page. One that browsers cannot open is shown as text."""

    label: Mapping[Language, str]
    url: str
    is_page: bool = True


@dataclass(frozen=True, slots=True)
class StartPage:
    """The content of the page at `/`: the name of the service, its purpose, and links."""

    name: str
    title: Mapping[Language, str]
    purpose: Mapping[Language, str]
    links: Sequence[StartPageLink]


def link_to_client_address(resource: str) -> StartPageLink:
    """The address that people add to their MCP client."""
    return StartPageLink({"en": "For your MCP client", "ko": "MCP 클라이언트에 등록할 주소"}, resource, is_page=False)


def link_to_sign_in(issuer: str) -> StartPageLink:
    """The start page of the authorization server."""
    return StartPageLink({"en": "Sign-in", "ko": "로그인"}, f"{issuer}/")


def link_to_api_docs(origin: str) -> StartPageLink:
    """The documentation of the HTTP API of the service at `origin`."""
    return StartPageLink({"en": "HTTP API", "ko": "HTTP API 문서"}, origin + DOCS_PATH)


class BrowserPages:
    """ASGI middleware. `origin` is the public address of the service."""

    def __init__(self, app: Application, *, start_page: StartPage, readiness: Readiness, origin: str) -> None:
        self._app = app
        self._start_page = start_page
        self._readiness = readiness
        self._site = urlsplit(origin).netloc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"} or not _is_for_a_person(scope):
            await self._app(scope, receive, send)
            return
        language = _choose_language(scope)
        if scope["path"] == "/":
            response = HttpResponse(200, await self._render_start(language), _HEADERS)
            await response(scope, receive, _without_body(send) if scope["method"] == "HEAD" else send)
            return
        await _ErrorsAsPages(self, scope, send, language).run(self._app, receive)

    async def _render_start(self, language: Language) -> bytes:
        page, texts = self._start_page, _TEXTS[language]
        checks = await self._readiness.checks()
        is_ready = all(check.ok for check in checks.values() if check.required)
        state, state_class = (texts["ready"], "ready") if is_ready else (texts["not_ready"], "not-ready")
        rows = "".join(_render_link(link, language) for link in page.links)
        content = (
            f"<h1>{escape(page.title[language])}</h1>\n"
            f'<p class="lead">{escape(page.purpose[language])}</p>\n'
            f'<p class="state {state_class}">{escape(state)}</p>\n<dl>\n{rows}</dl>\n'
        )
        return self._render(page.title[language], content, language, with_languages=True)

    def render_error(self, status: int, members: Mapping[str, Any], language: Language) -> bytes:
        """The page for an error; `members` are those of its JSON body."""
        texts = _TEXTS[language]
        described_status = status
        if f"error_{status}_title" not in texts:
            described_status = 500 if status >= 500 else 400
        title, text = texts[f"error_{described_status}_title"], texts[f"error_{described_status}_text"]
        described = [str(members[name]) for name in ("error", "error_description", "hint") if members.get(name)]
        detail = f"{status} {': '.join(described)}".strip()
        content = (
            f'<h1>{escape(title)}</h1>\n<p class="lead">{escape(text)}</p>\n'
            f'<p><a href="/">{escape(texts["start"])}</a></p>\n'
            f'<p class="detail">{escape(texts["detail"])}: <code>{escape(detail)}</code></p>\n'
        )
        return self._render(title, content, language, with_languages=False)

    def _render(self, title: str, content: str, language: Language, *, with_languages: bool) -> bytes:
        others = [other for other in LANGUAGES if other != language] if with_languages else []
        switches = "".join(
            f' · <a href="/?language={other}" lang="{other}" hreflang="{other}">{_TEXTS[other]["language_name"]}</a>'
            for other in others
        )
        page = _TEMPLATE.substitute(
            language=language,
            title=escape(title),
            site=escape(self._site),
            name=escape(self._start_page.name),
            icon=ICON_PATH,
            style=_STYLE,
            content=content,
            switches=switches,
        )
        return page.encode()


class _ErrorsAsPages:
    """One request of a person: a JSON error of the application is replaced by a page, everything else is passed on."""

    def __init__(self, pages: BrowserPages, scope: Scope, send: Send, language: Language) -> None:
        self._pages = pages
        self._is_head = scope["method"] == "HEAD"
        self._scope = scope
        self._send = send
        self._language: Language = language
        self._start: Message | None = None
        self._body = b""

    async def run(self, app: Application, receive: Receive) -> None:
        await app(self._scope, receive, self._receive_from_application)

    async def _receive_from_application(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_json_error(message):
            self._start = message
            return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        if len(self._body) < _MAX_ERROR_BYTES:
            self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._send_page(self._start)

    async def _send_page(self, start: Message) -> None:
        body = self._pages.render_error(start["status"], _members_of(self._body), self._language)
        sent = cast("Sequence[tuple[bytes, bytes]]", start.get("headers", ()))
        kept = tuple((name, value) for name, value in sent if name.lower() not in _REPLACED_HEADERS)
        response = HttpResponse(start["status"], body, (*kept, *_HEADERS))
        await response(self._scope, _no_message, _without_body(self._send) if self._is_head else self._send)


def _is_for_a_person(scope: Scope) -> bool:
    """Whether the client names `text/html`, and sends no token."""
    accepts_html = False
    for name, value in scope["headers"]:
        if name == b"authorization":
            return False
        if name == b"accept":
            accepts_html = accepts_html or b"text/html" in value.lower()
    return accepts_html


def _choose_language(scope: Scope) -> Language:
    """The language of the query string, else the first that the browser prefers, else English."""
    requested = parse_qs(scope["query_string"].decode("latin-1")).get("language", [""])[0]
    accepted = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-language"), "")
    for language in (requested, *preferred_languages(accepted, LANGUAGES)):
        if language in LANGUAGES:
            return language
    return "en"


def _is_json_error(start: Message) -> bool:
    if start["status"] < 400:
        return False
    headers = cast("Sequence[tuple[bytes, bytes]]", start.get("headers", ()))
    return any(name.lower() == b"content-type" and value.startswith(b"application/json") for name, value in headers)


def _members_of(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return cast("Mapping[str, Any]", document) if isinstance(document, dict) else {}


def _render_link(link: StartPageLink, language: Language) -> str:
    url = escape(link.url, quote=True)
    address = f'<a href="{url}">{url}</a>' if link.is_page else f"<code>{url}</code>"
    return f"<div><dt>{escape(link.label[language])}</dt><dd>{address}</dd></div>\n"


def _without_body(send: Send) -> Send:
    """Sends the response to HEAD, which has the headers of GET and no body."""

    async def send_without_body(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_without_body


async def _no_message() -> Message:
    return {"type": "http.disconnect"}
