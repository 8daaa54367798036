"""Responses in the media type of SCIM (RFC 7644 section 8.1)."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from auth_service.http.responses import NO_STORE

__all__ = ["SCIM_MEDIA_TYPE", "scim_response"]

SCIM_MEDIA_TYPE = "application/scim+json"


def scim_response(members: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] = NO_STORE) -> Response:
    """A JSON object that caches must not store."""
    return Response(to_json(members), status_code=status, media_type=SCIM_MEDIA_TYPE, headers=headers)
