"""A refresh token becomes the next one and an access token (RFC 6749 section 6)."""

from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from auth_service.accounts.account import AccountDirectory
from auth_service.accounts.consents import Consents, grantable_scopes
from auth_service.audit_recorder import AuditRecorder
from auth_service.errors import InvalidGrant, InvalidRequest, InvalidScope
from auth_service.grants.grant_handler import TokenRequest, TokenResponse
from auth_service.grants.user_tokens import UserTokenMinter, check_resource
from auth_service.protocol import Clock, GrantType
from auth_service.tokens.authorization_grant import AuthorizationGrant
from auth_service.tokens.refresh_tokens import RefreshTokens, Rotation
from security_common.audit import Action, EventType, Outcome, Reason

__all__ = ["RefreshTokenGrant"]

_DOCUMENT = TypeAdapter(TokenResponse)
_REFUSAL = "the refresh token is not known, was used, or has expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokenGrant:
    """The grant of those who stay connected. Each token is good once, and for its own client, user and resource."""

    families: RefreshTokens
    accounts: AccountDirectory
    consents: Consents
    tokens: UserTokenMinter
    record: AuditRecorder
    clock: Clock
    grant_type: GrantType = GrantType.REFRESH_TOKEN
    parameters: frozenset[str] = frozenset({"refresh_token"})

    async def exchange(self, request: TokenRequest) -> TokenResponse:
        token = request.parameters.get("refresh_token")
        if token is None:
            raise InvalidRequest("refresh_token is missing")
        presented = await self.families.read(token)
        if presented is None:
            raise InvalidGrant(_REFUSAL)
        grant = presented.family.grant
        if grant.client_id != request.client.client_id:
            await self._revoke(grant, request, Reason.OTHER_CLIENT)
            raise InvalidGrant(_REFUSAL)
        check_resource(grant, request)
        scopes = await self._scopes(grant, request)
        answer = await self.tokens.mint(
            grant, request.client, scopes=scopes, refresh_token=self.families.next_token(presented)
        )
        rotation, kept = await self.families.rotate(presented, self._dump(answer))
        if rotation is Rotation.REUSED:
            await self._revoke(grant, request, Reason.ROTATED_BEFORE)
        if rotation in {Rotation.REUSED, Rotation.GONE}:
            raise InvalidGrant(_REFUSAL)
        return self._load(kept) if rotation is Rotation.REPEATED else answer

    async def _scopes(self, grant: AuthorizationGrant, request: TokenRequest) -> tuple[str, ...]:
        """What the token may say today: no more than was granted, and no more than is allowed still."""
        account = await self.accounts.find(grant.subject)
        allowed = await self.consents.scopes(grant.subject, grant.client_id, grant.resource)
        if account is None or not allowed or grant.signed_in_at_seconds < account.signed_out_at_seconds:
            await self.families.revoke(grant.family)
            raise InvalidGrant("the user is gone, was signed out, or has taken back the consent")
        # Clients repeat what they asked for at first: what was dropped then is dropped again. Anything else must not be
        # asked for (RFC 6749 section 6).
        if request.scopes is not None and not set(request.scopes) <= {*grant.scopes, *grant.dropped}:
            raise InvalidScope("scope names more than was asked for at the authorization endpoint")
        kept = allowed & request.client.scopes & set(grant.scopes)
        return grantable_scopes([scope for scope in request.scopes or grant.scopes if scope in kept], account)

    async def _revoke(self, grant: AuthorizationGrant, request: TokenRequest, reason: str) -> None:
        """Who of two holders is the honest one nobody can tell: both have to sign in again."""
        await self.families.revoke(grant.family)
        await self.record(
            request,
            event_type=EventType.REFRESH_REUSE,
            action=Action.FAMILY_REVOKED,
            client_id=request.client.client_id,
            user_id=grant.subject,
            reason=reason,
            outcome=Outcome.REFUSED,
        )

    def _dump(self, answer: TokenResponse) -> str:
        """As it is kept: with the time at which it expires in place of how long it lasts."""
        expires_at_seconds = int(self.clock()) + answer.expires_in_seconds
        return _DOCUMENT.dump_json(replace(answer, expires_in_seconds=expires_at_seconds)).decode()

    def _load(self, kept: str) -> TokenResponse:
        answer = _DOCUMENT.validate_json(kept)
        return replace(answer, expires_in_seconds=max(0, answer.expires_in_seconds - int(self.clock())))
