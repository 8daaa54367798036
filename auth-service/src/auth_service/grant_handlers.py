"""The grants of the token endpoint, made from the parts of the service."""

from auth_service.accounts.store import AccountStore
from auth_service.federation.people import People
from auth_service.grants.authorization_code import FREE_GUESSES, AuthorizationCodeGrantHandler
from auth_service.grants.client_credentials import ClientCredentialsGrantHandler
from auth_service.grants.grant_handler import GrantHandler
from auth_service.grants.id_jag import IdJagRedemption
from auth_service.grants.jwt_bearer import JwtBearerGrantHandler
from auth_service.grants.refresh_token import RefreshTokenGrantHandler
from auth_service.grants.token_exchange import TokenExchangeGrantHandler
from auth_service.grants.user_tokens import UserTokenMinter
from auth_service.service_parts import ServiceParts
from auth_service.tokens.issued_tokens import IdTokenMinter

__all__ = ["accepts_id_jags", "make_grants", "make_jwt_bearer_grant"]


def make_grants(parts: ServiceParts) -> tuple[GrantHandler, ...]:
    """The grants that are always offered."""
    tokens = _make_user_tokens(parts)
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
    """The grant for assertions, if auth.yaml declares an issuer of them."""
    if not parts.declaration.workload_issuers and not accepts_id_jags(parts):
        return None
    return JwtBearerGrantHandler(
        workloads=parts.workload_tokens,
        id_jags=_make_id_jag_redemption(parts),
        directory=parts.directory,
        client_tokens=_make_client_credentials(parts),
        record=parts.record,
    )


def accepts_id_jags(parts: ServiceParts) -> bool:
    """Whether auth.yaml accepts the assertions of an identity provider."""
    return any(provider.enterprise_managed is not None for provider in parts.declaration.identity_providers)


def _make_id_jag_redemption(parts: ServiceParts) -> IdJagRedemption:
    return IdJagRedemption(
        issuer=parts.settings.issuer,
        connections=parts.connections,
        people=People(
            identities=parts.identities,
            store=AccountStore(parts.redis),
            clock=parts.clock,
            random_bytes=parts.random_bytes,
        ),
        logouts=parts.provider_logouts,
        resources=parts.resources,
        statuses=parts.status_indices,
        live_grants=parts.live_grants,
        tokens=_make_user_tokens(parts),
        new_family_id=parts.codes.new_family_id,
        redis=parts.redis,
        record=parts.record,
        metrics=parts.metrics,
        clock=parts.clock,
    )


def _make_user_tokens(parts: ServiceParts) -> UserTokenMinter:
    id_tokens = IdTokenMinter(
        issuer=parts.settings.issuer,
        signer=parts.keys,
        clock=parts.clock,
        lifetime_seconds=parts.settings.access_token_lifetime_seconds,
    )
    return UserTokenMinter(
        resources=parts.resources, minter=parts.minter, id_tokens=id_tokens, providers=parts.grant_providers
    )


def _make_client_credentials(parts: ServiceParts) -> ClientCredentialsGrantHandler:
    return ClientCredentialsGrantHandler(resources=parts.resources, minter=parts.minter, statuses=parts.client_statuses)
