"""The issuer's endpoints that this service calls as an OAuth client: the audit page and the tool create_test_token.

MCP_ISSUER            http://localhost:8081        the issuer in tokens and metadata; browsers and clients use this URL
MCP_AUTH_INTERNAL_URL http://auth-service:8081     the same issuer as this process reaches it
"""

from dataclasses import dataclass
from typing import Any

import httpx2

from mcp_resource_service.settings import ResourceSettings
from security_common.tokens import TrustedIssuer
from security_common.tokens.errors import IssuerUnreachable
from security_common.tokens.issuer_metadata import read_metadata

__all__ = ["IssuerEndpoints", "own_issuer", "read_endpoints", "trusted_issuers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerEndpoints:
    """Endpoints from the issuer's metadata.

    `authorization_endpoint` and `end_session_endpoint` are for browsers; the second is empty if the issuer has none.
    `token_endpoint` and `jwks_uri` are as this process reaches them. `sends_iss`: the issuer announces that its
    authorization responses contain `iss` (RFC 9207 section 3).
    """

    authorization_endpoint: str
    end_session_endpoint: str
    token_endpoint: str
    jwks_uri: str
    sends_iss: bool


def own_issuer(settings: ResourceSettings) -> TrustedIssuer:
    """Returns the issuer of MCP_ISSUER, whose tokens are accepted for this service's own resource."""
    return TrustedIssuer(settings.issuer, settings.resource, internal_url=settings.auth_internal_url)


def trusted_issuers(settings: ResourceSettings) -> list[TrustedIssuer]:
    """Returns every issuer whose tokens are accepted, the one of MCP_ISSUER first."""
    return [own_issuer(settings), *settings.trusted_issuers]


async def read_endpoints(http: httpx2.AsyncClient, issuer: TrustedIssuer) -> IssuerEndpoints:
    """Fetches the issuer's metadata (RFC 8414).

    Raises:
        IssuerUnreachable: the metadata cannot be fetched, or does not name these endpoints.
        IssuerMismatch: the metadata names another issuer.

    """
    metadata = await read_metadata(http, issuer)

    def endpoint(name: str) -> str:
        url: Any = metadata.get(name)
        if not isinstance(url, str):
            raise IssuerUnreachable(
                f"the metadata of {issuer.issuer} has no {name}", hint="check that MCP_ISSUER is the right issuer"
            )
        return url

    return IssuerEndpoints(
        authorization_endpoint=endpoint("authorization_endpoint"),
        end_session_endpoint=endpoint("end_session_endpoint") if "end_session_endpoint" in metadata else "",
        token_endpoint=issuer.back_channel_url(endpoint("token_endpoint")),
        jwks_uri=issuer.back_channel_url(endpoint("jwks_uri")),
        sends_iss=metadata.get("authorization_response_iss_parameter_supported") is True,
    )
