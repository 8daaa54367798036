"""The grant token-exchange: a client exchanges its caller's access token for one to another resource (RFC 8693).

A gateway that got a request calls an upstream on behalf of the same user this way, and never passes on the token that
it got itself. auth.yaml declares which tokens a client may exchange, and which scopes that gives (`may_exchange`).

The new token has one audience, names the client that acts for the subject (`act`), expires with the exchanged token at
the latest, and belongs to the same authorization grant: revoking that grant revokes both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from auth_service.accounts.account import Account, AccountDirectory
from auth_service.accounts.consents import grantable_scopes
from auth_service.clients.client import ExchangeRule
from auth_service.errors import AccessDenied, InvalidRequest, InvalidScope, InvalidTarget
from auth_service.grants.grant_handler import TokenRequest, TokenResponse
from auth_service.http.parameters import Parameter
from auth_service.protocol import USER_ID_PREFIX, Clock, GrantType
from auth_service.tokens.authorization_grant import AuthorizationGrant
from auth_service.tokens.grant_permissions import GRANT_ENDED, GrantPermissionsReader
from auth_service.tokens.grant_providers import GrantProviders
from auth_service.tokens.issued_tokens import (
    ACCESS_TOKEN_TYPE,
    ACTOR_CLAIM,
    MAX_ACTORS,
    AccessTokenMinter,
    IssuedTokenVerifier,
    audiences_of,
)
from auth_service.tokens.resources import Resources, is_same_resource
from auth_service.tokens.revoked_tokens import RevokedTokens, family_of

__all__ = ["ACCESS_TOKEN_URI", "EXCHANGE_RULES", "TokenExchangeGrantHandler"]

ACCESS_TOKEN_URI = "urn:ietf:params:oauth:token-type:access_token"
_JWT_URI = "urn:ietf:params:oauth:token-type:jwt"
_TOKEN_TYPES = (ACCESS_TOKEN_URI, _JWT_URI)  # an access token of this server is a JWT, so both names are right

_REFUSAL = "the subject token is not an access token of this server, or it has expired or was revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenExchangeGrantHandler:
    """Exchanges access tokens of this server. Tokens of other issuers, and other kinds of token, are refused."""

    resources: Resources
    verifier: IssuedTokenVerifier
    revoked: RevokedTokens
    accounts: AccountDirectory
    permissions: GrantPermissionsReader
    providers: GrantProviders
    minter: AccessTokenMinter
    clock: Clock
    grant_type: GrantType = GrantType.TOKEN_EXCHANGE
    parameters: tuple[Parameter, ...] = (
        Parameter("subject_token", "The access token to exchange (RFC 8693). It is for a resource of the client."),
        Parameter("subject_token_type", "The kind of the subject token.", values=_TOKEN_TYPES),
        Parameter("requested_token_type", "The kind of the new token.", values=_TOKEN_TYPES),
        Parameter("actor_token", "Not supported: the actor is the client that sends the request."),
        Parameter("actor_token_type", "Not supported."),
        Parameter("audience", "The same as `resource`.", repeatable=True),
    )

    async def exchange(self, request: TokenRequest) -> TokenResponse:
        for check in EXCHANGE_RULES:
            check(request)
        claims = await self._read_subject_token(request.parameters["subject_token"])
        rule = _find_rule(claims, request)
        resource = self.resources.find(rule.target)
        available = await self._available_scopes(claims, rule)
        scopes = _grant(available, request.scopes)
        now = int(self.clock())
        expires_at_seconds = min(now + rule.lifetime_seconds, int(claims["exp"]))
        access_token = await self.minter.mint_exchanged(
            client=request.client,
            exchanged=claims,
            scopes=scopes,
            resource=resource,
            expires_at_seconds=expires_at_seconds,
        )
        return TokenResponse(
            access_token=access_token,
            expires_in_seconds=expires_at_seconds - now,
            scopes=scopes,
            subject=claims["sub"],
            issued_token_type=ACCESS_TOKEN_URI,
            exchanged_for=resource.url,
        )

    async def _read_subject_token(self, token: str) -> Mapping[str, Any]:
        """The claims. Raises `InvalidRequest`, as RFC 8693 section 2.2.2 requires for every invalid subject token."""
        claims = self.verifier.verify(token, token_type=ACCESS_TOKEN_TYPE)
        if claims is None or await self.revoked.is_revoked(claims):
            raise InvalidRequest(_REFUSAL)
        if "cnf" in claims:
            raise InvalidRequest(
                "the subject token is bound to a key of its client (DPoP), and the new token would not be: "
                "the client has to use a token without DPoP at this resource"
            )
        if _count_actors(claims) >= MAX_ACTORS:
            raise InvalidRequest(f"more than {MAX_ACTORS} clients would act for one another")
        return claims

    async def _available_scopes(self, claims: Mapping[str, Any], rule: ExchangeRule) -> tuple[str, ...]:
        """The scopes at the target, in the order of the rule.

        A user who was disabled or signed out, has to sign in at the identity provider again, or has withdrawn the
        consent, ends exchanges at once. Raises `InvalidRequest`, and `InvalidScope` if no scope is available.
        """
        held = frozenset(claims["scope"].split(" "))
        if not claims["sub"].startswith(USER_ID_PREFIX):
            return _map_scopes(held, rule)
        origin = await self.providers.find(family_of(claims["jti"]))
        if ACTOR_CLAIM in claims or origin.is_asserted:
            # The consent was given to the first client, which a token that was exchanged before does not name. With an
            # assertion (ID-JAG) the provider has allowed the client in place of the user.
            account = await self.accounts.find(claims["sub"], origin.provider)
            if account is None or claims["iat"] < account.signed_out_at_seconds:
                raise InvalidRequest(GRANT_ENDED)
            return _grantable(_map_scopes(held, rule), account)
        permissions = await self.permissions.read(_grant_of(claims, origin.provider))
        if permissions is None:
            raise InvalidRequest(GRANT_ENDED)
        return _grantable(_map_scopes(held & permissions.allowed_scopes, rule), permissions.account)


def require_subject_token(request: TokenRequest) -> None:
    for name in ("subject_token", "subject_token_type"):
        if name not in request.parameters:
            raise InvalidRequest(f"{name} is missing")
    if request.parameters["subject_token_type"] not in _TOKEN_TYPES:
        raise InvalidRequest(f"subject_token_type must be {ACCESS_TOKEN_URI}: other tokens are not exchanged")


def require_known_requested_type(request: TokenRequest) -> None:
    if request.parameters.get("requested_token_type", ACCESS_TOKEN_URI) not in _TOKEN_TYPES:
        raise InvalidRequest(f"requested_token_type must be {ACCESS_TOKEN_URI}: other tokens are not issued")


def refuse_actor_tokens(request: TokenRequest) -> None:
    if "actor_token" in request.parameters or "actor_token_type" in request.parameters:
        raise InvalidRequest("actor_token is not supported: the actor is the client that sends the request")


def require_one_target(request: TokenRequest) -> None:
    if not request.resources:
        raise InvalidTarget("resource is missing: it names the resource that the new token is for")
    first, *others = request.resources
    if not all(is_same_resource(first, other) for other in others):
        raise InvalidTarget("a token is for one resource: send one resource parameter")


EXCHANGE_RULES: tuple[Callable[[TokenRequest], None], ...] = (
    require_subject_token,
    require_known_requested_type,
    refuse_actor_tokens,
    require_one_target,
)


def _find_rule(claims: Mapping[str, Any], request: TokenRequest) -> ExchangeRule:
    """The rule of the client for this token and target. Raises `InvalidRequest` or `InvalidTarget` if there is none."""
    rules = request.client.exchange_rules
    audiences = audiences_of(claims)
    audience_rules = [rule for rule in rules if _names_any(rule.sources, audiences)]
    if not audience_rules:
        raise InvalidRequest("the subject token is for another resource than those that this client may exchange for")
    found = next((rule for rule in audience_rules if is_same_resource(rule.target, request.resources[0])), None)
    if found is None:
        raise InvalidTarget("the client may not exchange this token for one to this resource (may_exchange)")
    return found


def _names_any(resources: Sequence[str], audiences: Sequence[str]) -> bool:
    return any(is_same_resource(resource, audience) for resource in resources for audience in audiences)


def _map_scopes(held: frozenset[str], rule: ExchangeRule) -> tuple[str, ...]:
    """The scopes that the held ones give at the target. Raises `InvalidScope` if they give none."""
    given = dict.fromkeys(scope for each, mapped in rule.scopes.items() if each in held for scope in mapped)
    if not given:
        raise InvalidScope("no scope of the subject token gives a scope at this resource (may_exchange)")
    return tuple(given)


def _grantable(scopes: tuple[str, ...], account: Account) -> tuple[str, ...]:
    """Those that the user may grant. Raises `InvalidScope` if none remain."""
    try:
        return grantable_scopes(scopes, account)
    except AccessDenied as error:  # not an error of the token endpoint (RFC 6749 section 5.2)
        raise InvalidScope("the rules of the user's identity provider allow none of the scopes") from error


def _grant(available: tuple[str, ...], requested: tuple[str, ...] | None) -> tuple[str, ...]:
    """Raises `InvalidScope` for a scope that the subject token does not give: no user decides about it here."""
    if requested is None:
        return available
    if not set(requested) <= set(available):
        raise InvalidScope("the subject token does not give one of the scopes at this resource (may_exchange)")
    return requested


def _grant_of(claims: Mapping[str, Any], provider: str | None) -> AuthorizationGrant:
    """The authorization grant to which a user's token belongs. The sign-in took place before the token was issued."""
    return AuthorizationGrant(
        family_id=family_of(claims["jti"]),
        client_id=claims["client_id"],
        subject=claims["sub"],
        resource=audiences_of(claims)[0],
        scopes=tuple(claims["scope"].split(" ")),
        signed_in_at_seconds=claims["iat"],
        methods=(),
        provider=provider,
    )


def _count_actors(claims: Mapping[str, Any]) -> int:
    count = 0
    actor: Any = claims.get(ACTOR_CLAIM)
    while isinstance(actor, dict):
        count += 1
        actor = cast("dict[str, Any]", actor).get(ACTOR_CLAIM)
    return count
