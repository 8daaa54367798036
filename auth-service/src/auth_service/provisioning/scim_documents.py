"""What a client of SCIM reads about this service: configuration, resource types, schemas (RFC 7643 section 4).

The schema of a user names only the attributes that are stored.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from auth_service.paths import SCIM_PATH

__all__ = ["MAX_PAGE", "USER_SCHEMA", "list_response", "resource_types", "schemas", "service_provider_config"]

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
MAX_PAGE = 200

_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_CONFIG_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
_TYPE_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
_SCHEMA_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"


def list_response(
    resources: Sequence[Mapping[str, Any]], *, total: int | None = None, start_index: int = 1
) -> Mapping[str, Any]:
    """A page of resources (RFC 7644 section 3.4.2). `total` is the number of all, if these are not all."""
    return {
        "schemas": [_LIST],
        "totalResults": len(resources) if total is None else total,
        "startIndex": start_index,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }


def service_provider_config(issuer: str) -> Mapping[str, Any]:
    """RFC 7643 section 5. What is not supported says so."""
    return {
        "schemas": [_CONFIG_SCHEMA],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MAX_PAGE},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": False},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "The token that auth.yaml declares for the identity provider (scim.token_file).",
            }
        ],
        "meta": _meta("ServiceProviderConfig", f"{issuer}{SCIM_PATH}/ServiceProviderConfig"),
    }


def resource_types(issuer: str) -> list[Mapping[str, Any]]:
    """RFC 7643 section 6: only users."""
    return [
        {
            "schemas": [_TYPE_SCHEMA],
            "id": "User",
            "name": "User",
            "endpoint": "/Users",
            "description": "A person who can sign in at the identity provider.",
            "schema": USER_SCHEMA,
            "meta": _meta("ResourceType", f"{issuer}{SCIM_PATH}/ResourceTypes/User"),
        }
    ]


def schemas(issuer: str) -> list[Mapping[str, Any]]:
    """RFC 7643 section 7."""
    return [
        {
            "schemas": [_SCHEMA_SCHEMA],
            "id": USER_SCHEMA,
            "name": "User",
            "description": "A person who can sign in at the identity provider.",
            "attributes": _USER_ATTRIBUTES,
            "meta": _meta("Schema", f"{issuer}{SCIM_PATH}/Schemas/{USER_SCHEMA}"),
        }
    ]


def _meta(resource_type: str, location: str) -> Mapping[str, str]:
    return {"resourceType": resource_type, "location": location}


def _attribute(name: str, description: str, **more: Any) -> dict[str, Any]:
    """An attribute with the usual characteristics (RFC 7643 section 2.2); `more` replaces some."""
    return {
        "name": name,
        "type": "string",
        "multiValued": False,
        "description": description,
        "required": False,
        "caseExact": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
        **more,
    }


_USER_ATTRIBUTES = [
    _attribute("userName", "The username, unique in this service.", required=True, uniqueness="server"),
    _attribute("displayName", "The name that pages show."),
    _attribute(
        "name",
        "The name; used if there is no displayName.",
        type="complex",
        subAttributes=[
            _attribute("formatted", "The whole name."),
            _attribute("givenName", "The given name.", returned="never"),
            _attribute("familyName", "The family name.", returned="never"),
        ],
    ),
    _attribute(
        "emails",
        "The e-mail address: one is stored, that for work or the primary one.",
        type="complex",
        multiValued=True,
        subAttributes=[
            _attribute("value", "The address."),
            _attribute("type", "Always work.", canonicalValues=["work"]),
            _attribute("primary", "Always true.", type="boolean"),
        ],
    ),
    _attribute("active", "Whether the user may sign in.", type="boolean"),
]
