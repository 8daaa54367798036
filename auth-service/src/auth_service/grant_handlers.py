"""The grants of the token endpoint, made from the parts of the service."""

from auth_service.grants.authorization_code import FREE_GUESSES, AuthorizationCodeGrantHandler
from auth_service.grants.client_credentials import ClientCredentialsGrantHandler
from auth_service.grants.grant_handler import GrantHandler
from auth_service.grants.jwt_bearer import JwtBearerGrantHandler
from auth_service.grants.refresh_token import RefreshTokenGrantHandler
from auth_service.grants.token_exchange import TokenExchangeGrantHandler
from auth_service.grants.user_tokens import UserTokenMinter
from auth_service.service_parts import ServiceParts
from auth_service.tokens.issued_tokens import IdTokenMinter

__all__ = ["make_grants", "make_jwt_bearer_grant"]


def make_grants(parts: ServiceParts) -> tuple[GrantHandler, ...]:
    """The grants that are always offered."""
    id_tokens = IdTokenMinter(
        issuer=parts.settings.issuer,
        signer=parts.keys,
        clock=parts.clock,
        lifetime_seconds=parts.settings.access_token_lifetime_seconds,
    )
    tokens = UserTokenMinter(
        resources=parts.resources, minter=parts.minter, id_tokens=id_tokens, providers=parts.grant_providers
    )
    return (
        AuthorizationCodeGrantHandler(
            codes=parts.codes,
            refresh_tokens=parts.refresh_tokens,
            statuses=parts.status_indices,
            live_grants=parts.live_grants,
            revocation=parts.grant_revocation,
            permissions=parts.grant_permissions,
            provider_check=parts.rechecks,
            tokens=tokens,
            failures=parts.make_throttle("code", FREE_GUESSES),
            record=parts.record,
        ),
        RefreshTokenGrantHandler(
            refresh_tokens=parts.refresh_tokens,
            statuses=parts.status_indices,
            live_grants=parts.live_grants,
            revocation=parts.grant_revocation,
            permissions=parts.grant_permissions,
            provider_check=parts.rechecks,
            tokens=tokens,
            record=parts.record,
            clock=parts.clock,
        ),
        _make_client_credentials(parts),
        TokenExchangeGrantHandler(
            resources=parts.resources,
            verifier=parts.issued_tokens,
            revoked=parts.revoked_tokens,
            accounts=parts.accounts,
            permissions=parts.grant_permissions,
            providers=parts.grant_providers,
            minter=parts.minter,
            clock=parts.clock,
        ),
    )


def make_jwt_bearer_grant(parts: ServiceParts) -> JwtBearerGrantHandler | None:
    """The grant for the tokens of workloads, if auth.yaml declares an issuer of them."""
    if not parts.declaration.workload_issuers:
        return None
    return JwtBearerGrantHandler(
        workloads=parts.workload_tokens,
        directory=parts.directory,
        client_tokens=_make_client_credentials(parts),
        record=parts.record,
    )


def _make_client_credentials(parts: ServiceParts) -> ClientCredentialsGrantHandler:
    return ClientCredentialsGrantHandler(resources=parts.resources, minter=parts.minter, statuses=parts.client_statuses)
