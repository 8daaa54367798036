"""The errors of SCIM and how they are answered (RFC 7644 section 3.12)."""

from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response

from auth_service.errors import ErrorCode, OAuthError
from auth_service.http.responses import NO_STORE
from auth_service.provisioning.scim_responses import scim_response

__all__ = [
    "ScimError",
    "ScimFilterInvalid",
    "ScimNotFound",
    "ScimNotImplemented",
    "ScimNotMutable",
    "ScimNotUnique",
    "ScimPathInvalid",
    "ScimSyntaxInvalid",
    "ScimTargetMissing",
    "ScimTokenRefused",
    "ScimValueInvalid",
    "render_scim_error",
]

_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"


class ScimError(OAuthError):
    """An error with the keyword `scim_type` of RFC 7644 table 9."""

    error: ClassVar[str] = ErrorCode.INVALID_REQUEST
    scim_type: ClassVar[str | None] = None


class ScimSyntaxInvalid(ScimError):
    """The body is not what the request needs."""

    scim_type = "invalidSyntax"


class ScimFilterInvalid(ScimError):
    """The filter cannot be parsed, or is not supported."""

    scim_type = "invalidFilter"


class ScimPathInvalid(ScimError):
    """The path of a patch operation names no known attribute."""

    scim_type = "invalidPath"


class ScimTargetMissing(ScimError):
    """The path of a patch operation leads to no value."""

    scim_type = "noTarget"


class ScimValueInvalid(ScimError):
    """A value is missing, or of a wrong type."""

    scim_type = "invalidValue"


class ScimNotMutable(ScimError):
    """The attribute cannot be changed."""

    scim_type = "mutability"


class ScimNotUnique(ScimError):
    """Another user has this value."""

    status = 409
    scim_type = "uniqueness"


class ScimNotFound(ScimError):
    """The provider has no such user."""

    error = "not_found"
    status = 404


class ScimNotImplemented(ScimError):
    """A part of SCIM that is not supported, as the service provider configuration says."""

    status = 501


class ScimTokenRefused(ScimError):
    """The bearer token is missing or is that of no provider."""

    error = ErrorCode.INVALID_TOKEN
    status = 401


def render_scim_error(error: OAuthError, _request: Request) -> Response:
    """Any error in the form of SCIM."""
    members: dict[str, Any] = {"schemas": [_SCHEMA], "status": str(error.status), "detail": error.description}
    if isinstance(error, ScimError) and error.scim_type is not None:
        members["scimType"] = error.scim_type
    headers = dict(NO_STORE)
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(error.retry_after_seconds)
    return scim_response(members, status=error.status, headers=headers)
