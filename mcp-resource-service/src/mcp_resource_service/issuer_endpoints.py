"""The issuer's endpoints that this service calls as a client: for the audit page's sign-in and the demo's test token.

MCP_ISSUER            http://localhost:8081        what tokens and documents say; browsers and clients go there
MCP_AUTH_INTERNAL_URL http://auth-service:8081     where this process finds it
"""

from dataclasses import dataclass
from typing import Any

import httpx2

from mcp_resource_service.settings import ResourceSettings
from security_common.tokens import TrustedIssuer
from security_common.tokens.errors import IssuerUnreachable
from security_common.tokens.metadata import read_metadata

__all__ = ["IssuerEndpoints", "own_issuer", "read_endpoints", "trusted_issuers"]


def trusted_issuers(settings: ResourceSettings) -> list[TrustedIssuer]:
    """Every issuer whose tokens are accepted, our own first."""
    return [own_issuer(settings), *settings.trusted_issuers]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerEndpoints:
    """Two URLs for browsers (the second is empty where there is none), the others as reached from here.

    `names_itself_in_answers`: it announces that its authorization responses have `iss` (RFC 9207 section 3).
    """

    authorization_endpoint: str
    end_session_endpoint: str
    token_endpoint: str
    jwks_uri: str
    names_itself_in_answers: bool


def own_issuer(settings: ResourceSettings) -> TrustedIssuer:
    """The issuer of MCP_ISSUER, which this service's own resource belongs to."""
    return TrustedIssuer(settings.issuer, settings.resource, internal_url=settings.auth_internal_url)


async def read_endpoints(http: httpx2.AsyncClient, issuer: TrustedIssuer) -> IssuerEndpoints:
    """The endpoints from the issuer's metadata (RFC 8414).

    Raises:
        IssuerUnreachable: no metadata there, or a document without these members.
        IssuerMismatch: the document names another issuer.

    """
    metadata = await read_metadata(http, issuer)

    def endpoint(name: str) -> str:
        url: Any = metadata.get(name)
        if not isinstance(url, str):
            raise IssuerUnreachable(f"the metadata of {issuer.issuer} has no {name}", hint="is it the right issuer?")
        return url

    return IssuerEndpoints(
        authorization_endpoint=endpoint("authorization_endpoint"),
        end_session_endpoint=endpoint("end_session_endpoint") if "end_session_endpoint" in metadata else "",
        token_endpoint=issuer.back_channel(endpoint("token_endpoint")),
        jwks_uri=issuer.back_channel(endpoint("jwks_uri")),
        names_itself_in_answers=metadata.get("authorization_response_iss_parameter_supported") is True,
    )
