"""Pages: a template, its words, and the headers that let a browser do nothing but show it."""

import hashlib
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from auth_service.http.messages import READ, Answer, Endpoint, HttpRequest
from auth_service.web.content_security import page_policy
from auth_service.web.language import Language
from security_common.browser_requests import ICON, ICON_MEDIA_TYPE, ICON_PATH
from security_common.service import parse_yaml

__all__ = ["STYLE_PATH", "Pages", "icon_endpoint", "strong", "style_endpoint"]

STYLE_PATH = "/oauth2/pages.css"

_PACKAGE = files("auth_service.web")
_STYLE = _PACKAGE.joinpath("pages.css").read_bytes()
_STYLE_TAG = hashlib.sha256(_STYLE).hexdigest()[:16]


class Pages:
    """Renders templates. `issuer` is shown, so that people see where they type their password."""

    def __init__(self, *, issuer: str) -> None:
        self._texts: Mapping[str, Mapping[str, str]] = parse_yaml(
            _PACKAGE.joinpath("texts.yaml").read_text(encoding="utf-8")
        )
        self._environment = Environment(
            loader=PackageLoader("auth_service.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["strong"] = strong
        self._everywhere = {"style": f"{STYLE_PATH}?v={_STYLE_TAG}", "site": urlsplit(issuer).netloc}

    def answer(
        self,
        template: str,
        language: Language,
        *,
        status: int = 200,
        form_targets: tuple[str, ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
        **values: Any,
    ) -> Answer:
        """The page `template`; `values` are its variables, escaped unless they are Markup.

        `form_targets` are the origins, beside this one, that a form on it may lead to by redirects: sources that
        `form_target` made.
        """
        shown = {**self._everywhere, "say": partial(self.say, language), "language": language.value, **values}
        body = self._environment.get_template(f"{template}.html").render(shown)
        return Answer(
            status=status,
            body=body.encode(),
            media_type="text/html; charset=utf-8",
            headers=(*_headers(form_targets), ("content-language", language.value), *headers),
        )

    def say(self, language: Language, key: str, /, **parts: object) -> Markup:
        """A text of ours with its parts filled in, escaped."""
        return Markup(self._texts[key][language]).format(**parts)  # noqa: S704 - the text is ours, format escapes the rest


def strong(text: str) -> Markup:
    return Markup("<strong>{}</strong>").format(text)


def style_endpoint() -> Endpoint:
    """The style sheet: a page names it by its content, so a browser may keep it for good."""

    async def answer(_request: HttpRequest) -> Answer:
        caching = ("cache-control", "public, max-age=31536000, immutable")
        return Answer(body=_STYLE, media_type="text/css; charset=utf-8", headers=(caching,))

    return Endpoint(path=STYLE_PATH, handler=answer, methods=READ)


def icon_endpoint() -> Endpoint:
    """The icon, which browsers ask for by themselves."""

    async def answer(_request: HttpRequest) -> Answer:
        return Answer(body=ICON, media_type=ICON_MEDIA_TYPE, headers=(("cache-control", "public, max-age=86400"),))

    return Endpoint(path=ICON_PATH, handler=answer, methods=READ)


def _headers(form_targets: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return (
        ("cache-control", "no-store"),
        ("content-security-policy", page_policy(form_targets)),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    )
