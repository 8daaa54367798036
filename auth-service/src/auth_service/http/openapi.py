"""The OpenAPI document: openapi.yaml, as far as this service offers it."""

import json
from collections.abc import Iterable
from importlib.metadata import version
from importlib.resources import files

from auth_service.http.messages import READ, Answer, Endpoint, HttpRequest
from security_common.service import parse_yaml

__all__ = ["openapi_endpoint"]

_PATH = "/openapi.json"


def openapi_endpoint(endpoints: Iterable[Endpoint], *, issuer: str) -> Endpoint:
    """OpenAPI 3.1 of these endpoints and of itself. Raises KeyError for one that is not described."""
    document = parse_yaml(files("auth_service.http").joinpath("openapi.yaml").read_text(encoding="utf-8"))
    del document["x-parts"]
    document["info"]["version"] = version("mcp-oauth2-auth-service")
    document["servers"] = [{"url": issuer}]
    document["paths"] = {path: document["paths"][path] for path in (*(each.path for each in endpoints), _PATH)}
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    async def answer(_request: HttpRequest) -> Answer:
        return Answer(body=body, media_type="application/json", headers=(("cache-control", "public, max-age=300"),))

    return Endpoint(path=_PATH, handler=answer, methods=READ, cross_origin=True)
