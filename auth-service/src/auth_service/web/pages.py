"""Pages: a template, its texts in the chosen language, and headers that forbid the browser everything else."""

import hashlib
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from auth_service.http.application import new_router
from auth_service.http.responses import Header, add_headers
from auth_service.web.content_security import page_policy
from auth_service.web.language import LANGUAGE_PARAMETER, Language, chosen_in_query, with_language
from auth_service.web.password_script import PASSWORD_SCRIPT
from security_common.cookies import ServiceCookies
from security_common.service import parse_yaml
from security_common.service.browser_pages import CARD_STYLE
from security_common.service.operator_contact import contact_address
from security_common.service.web_application import ICON, ICON_MEDIA_TYPE, ICON_PATH

__all__ = ["STYLE_PATH", "Pages", "make_asset_router"]

STYLE_PATH = "/oauth2/pages.css"

_PACKAGE = files("auth_service.web")
_STYLE = CARD_STYLE.encode() + _PACKAGE.joinpath("pages.css").read_bytes()
_STYLE_TAG = hashlib.sha256(_STYLE).hexdigest()[:16]

_PASSWORD_SCRIPT = Markup(PASSWORD_SCRIPT)  # noqa: S704 - the script is ours
_LANGUAGE_NAMES = {Language.ENGLISH: "English", Language.KOREAN: "한국어"}
_LANGUAGE_SECONDS = 365 * 86400


class Pages:
    """Renders templates. Every page shows the host of `issuer`, so that people see where they enter their password.

    It links to the operator if there is a `contact`: an email address or an https URL.
    """

    def __init__(self, *, issuer: str, contact: str = "") -> None:
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
        self._environment.filters["strong"] = _strong
        self._common_values = {
            "style": f"{STYLE_PATH}?v={_STYLE_TAG}",
            "site": urlsplit(issuer).netloc,
            "contact": contact_address(contact),
            "password_script": _PASSWORD_SCRIPT,
        }
        self._cookies = ServiceCookies("auth_", secure=issuer.startswith("https:"))

    def render(
        self,
        template: str,
        language: Language,
        http: Request,
        *,
        status: int = 200,
        address: str | None = None,
        form_targets: tuple[str, ...] = (),
        has_script: bool = False,
        headers: tuple[Header, ...] = (),
        **values: Any,
    ) -> Response:
        """The page `template`. `values` are its variables, escaped unless they are Markup.

        `form_targets` are the origins that a form of the page may be redirected to, as `form_target` returns them.
        `address` is where GET returns the page, if `http` is the POST of its form: the link to the other language
        leads there. `has_script` is whether the page contains the script of the password field.
        """
        variables = {
            **self._common_values,
            "say": partial(self.text, language),
            "language": language.value,
            "other_language": _link_to_other_language(language, http, address),
            **values,
        }
        body = self._environment.get_template(f"{template}.html").render(variables)
        response = Response(
            body,
            status_code=status,
            media_type="text/html; charset=utf-8",
            headers={
                "cache-control": "no-store",
                "content-security-policy": page_policy(form_targets, script=PASSWORD_SCRIPT if has_script else None),
                "x-frame-options": "DENY",
                "referrer-policy": "no-referrer",
                "content-language": language.value,
            },
        )
        if chosen_in_query(http) is not None:
            cookie = self._cookies.set_header(LANGUAGE_PARAMETER, language.value, max_age_seconds=_LANGUAGE_SECONDS)
            headers = (*headers, cookie)
        return add_headers(response, headers)

    def text(self, language: Language, key: str, /, **parts: object) -> Markup:
        """A text of texts.yaml with its parts filled in, escaped."""
        return Markup(self._texts[key][language]).format(**parts)  # noqa: S704 - the text is ours, format escapes the rest


def make_asset_router() -> APIRouter:
    """The style sheet and the icon of the pages."""
    router = new_router("pages")

    @router.get(STYLE_PATH, operation_id="style", summary="Style sheet of the pages", responses=_CSS)
    async def style() -> Response:
        """Its address contains a hash of its content, so that browsers can cache it for a year."""
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(_STYLE, media_type="text/css; charset=utf-8", headers=headers)

    @router.get(ICON_PATH, operation_id="icon", summary="Icon of the pages", responses=_SVG)
    async def icon() -> Response:
        """Browsers request it on their own."""
        return Response(ICON, media_type=ICON_MEDIA_TYPE, headers={"cache-control": "public, max-age=86400"})

    return router


def _link_to_other_language(language: Language, http: Request, address: str | None) -> Mapping[str, str] | None:
    """The link to this page in the other language; None if the page cannot be opened with GET."""
    if address is None and http.scope.get("method") in {"GET", "HEAD"}:
        address = f"{http.scope['path']}?{http.scope['query_string'].decode('latin-1')}"
    if address is None:
        return None
    other = Language.ENGLISH if language is Language.KOREAN else Language.KOREAN
    return {"address": with_language(address, other), "language": other.value, "name": _LANGUAGE_NAMES[other]}


_TEXT = {"schema": {"type": "string"}}
_CSS: dict[int | str, dict[str, Any]] = {200: {"description": "CSS", "content": {"text/css": _TEXT}}}
_SVG: dict[int | str, dict[str, Any]] = {200: {"description": "SVG", "content": {"image/svg+xml": _TEXT}}}


def _strong(text: str) -> Markup:
    return Markup("<strong>{}</strong>").format(text)
