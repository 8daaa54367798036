"""`/docs`: the Swagger UI for `/openapi.json`, served without the internet.

The files come from the package fastapi-offline. The page has a Content-Security-Policy of its own: scripts and requests
are limited to this service.
"""

import json
from html import escape
from importlib.resources import files

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from security_common.service.read_routes import add_read_route

__all__ = ["DOCS_PATH", "api_docs_router"]

DOCS_PATH = "/docs"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="/favicon.ico">
<link rel="stylesheet" href="{path}/swagger-ui.css">
<div id="documentation"></div>
<script src="{path}/swagger-ui-bundle.js"></script>
<script src="{path}/start.js"></script>
</html>
"""
_START = """SwaggerUIBundle({{
  url: {openapi_path}, dom_id: "#documentation", deepLinking: true, validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
}});
"""


def api_docs_router(*, title: str, openapi_path: str) -> APIRouter:
    """The page and its files. A file is read from disk when it is requested, so that it takes no memory."""
    router = APIRouter(include_in_schema=False)
    assets = files("fastapi_offline").joinpath("static")
    page = _PAGE.format(title=escape(title), path=DOCS_PATH)
    start = _START.format(openapi_path=json.dumps(openapi_path))

    async def show_page() -> Response:
        return _response(page, "text/html", cache_seconds=300)

    async def show_start() -> Response:
        return _response(start, "text/javascript", cache_seconds=300)

    def show_asset(name: str) -> Response:
        media_type = _FILES.get(name)
        if media_type is None:
            raise HTTPException(404)
        return _response(assets.joinpath(name).read_bytes(), media_type, cache_seconds=86400)

    add_read_route(router, DOCS_PATH, show_page, in_schema=False)
    add_read_route(router, f"{DOCS_PATH}/start.js", show_start, in_schema=False)
    add_read_route(router, f"{DOCS_PATH}/{{name}}", show_asset, in_schema=False)
    return router


def _response(content: str | bytes, media_type: str, *, cache_seconds: int) -> Response:
    headers = {
        "Cache-Control": f"public, max-age={cache_seconds}",
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type=media_type, headers=headers)
