"""The grant refresh_token: a refresh token is exchanged for the next one and an access token (RFC 6749 section 6)."""

from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from auth_service.audit_recorder import AuditRecorder
from auth_service.errors import InvalidGrant, InvalidRequest, InvalidScope
from auth_service.federation.rechecks import ProviderCheck
from auth_service.grants.grant_handler import TokenRequest, TokenResponse
from auth_service.grants.user_tokens import UserTokenMinter, check_resource
from auth_service.http.parameters import Parameter
from auth_service.protocol import Clock, GrantType
from auth_service.token_status.status_indices import ListKind, StatusIndices, StatusReference
from auth_service.tokens.authorization_grant import AuthorizationGrant
from auth_service.tokens.grant_permissions import GRANT_ENDED, GrantPermissionsReader
from auth_service.tokens.grant_revocation import GrantRevocation
from auth_service.tokens.live_grants import LiveGrants
from auth_service.tokens.refresh_tokens import RefreshTokens, Rotation
from security_common.audit import Action, EventType, Outcome, Reason

__all__ = ["RefreshTokenGrantHandler"]

_RESPONSE_ADAPTER = TypeAdapter(TokenResponse)
_REFUSAL = "the refresh token is not known, was used, or has expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokenGrantHandler:
    """Each refresh token is exchanged once, for its own client, user and resource.

    For `grace_seconds` after the exchange, the same response is sent again. A token that is presented by another
    client, or again after the grace period, is treated as copied. The copy cannot be distinguished from the original,
    so the whole family is revoked, and the client has to start a new authorization (RFC 9700 section 4.14.2). A request
    for another resource, or for a scope that was not part of the authorization request, is refused before reuse is
    detected.
    """

    refresh_tokens: RefreshTokens
    statuses: StatusIndices
    live_grants: LiveGrants
    revocation: GrantRevocation
    permissions: GrantPermissionsReader
    provider_check: ProviderCheck
    tokens: UserTokenMinter
    record: AuditRecorder
    clock: Clock
    grant_type: GrantType = GrantType.REFRESH_TOKEN
    parameters: tuple[Parameter, ...] = (Parameter("refresh_token", "The refresh token."),)

    async def exchange(self, request: TokenRequest) -> TokenResponse:
        token = request.parameters.get("refresh_token")
        if token is None:
            raise InvalidRequest("refresh_token is missing")
        presented = await self.refresh_tokens.read(token)
        if presented is None:
            raise InvalidGrant(_REFUSAL)
        grant = presented.family.grant
        if grant.client_id != request.client.client_id:
            await self._revoke_copied(grant, request, Reason.OTHER_CLIENT)
            raise InvalidGrant(_REFUSAL)
        check_resource(grant, request)
        requested = _requested_scopes(grant, request)
        if await self.refresh_tokens.is_reused(presented):
            await self._revoke_copied(grant, request, Reason.ROTATED_BEFORE)
            raise InvalidGrant(_REFUSAL)
        await self.provider_check.require_fresh(grant, request)
        scopes = await self._current_scopes(grant, requested, request)
        response = await self.tokens.mint(
            grant,
            request.client,
            scopes=scopes,
            status=grant.status or await self._assign_status(grant),
            refresh_token=self.refresh_tokens.next_token(presented),
        )
        rotation, stored_response = await self.refresh_tokens.rotate(presented, self._dump(response))
        if rotation is Rotation.REUSED:
            await self._revoke_copied(grant, request, Reason.ROTATED_BEFORE)
        if rotation in {Rotation.REUSED, Rotation.GONE}:
            raise InvalidGrant(_REFUSAL)
        return self._load(stored_response) if rotation is Rotation.REPEATED else response

    async def _current_scopes(
        self, grant: AuthorizationGrant, requested: tuple[str, ...], request: TokenRequest
    ) -> tuple[str, ...]:
        """The scopes of the new token: those of the grant that are requested and still allowed.

        If the grant is not valid any more, revokes its family and raises `InvalidGrant`. If the rules of the user's
        identity provider allow no scope at present, raises `InvalidGrant` without revoking the family. Raises
        `InvalidScope` if the account and the consent allow none of the requested ones.
        """
        permissions = await self.permissions.read(grant)
        if permissions is None:
            await self.revocation.revoke(grant.subject, grant.family_id)
            raise InvalidGrant(GRANT_ENDED)
        return permissions.restrict([scope for scope in requested if scope in grant.scopes], request.client)

    async def _assign_status(self, grant: AuthorizationGrant) -> StatusReference:
        """The status of a grant from before there were status lists."""
        status = await self.refresh_tokens.set_status(grant.family_id, await self.statuses.assign(ListKind.GRANTS))
        await self.live_grants.add(grant, status, has_refresh_token=True)
        return status

    async def _revoke_copied(self, grant: AuthorizationGrant, request: TokenRequest, reason: Reason) -> None:
        await self.revocation.revoke(grant.subject, grant.family_id)
        await self.record(
            request,
            event_type=EventType.REFRESH_REUSE,
            action=Action.FAMILY_REVOKED,
            client_id=request.client.client_id,
            user_id=grant.subject,
            reason=reason,
            outcome=Outcome.REFUSED,
        )

    def _dump(self, response: TokenResponse) -> str:
        """The stored form: `expires_in_seconds` is replaced by the time of expiry."""
        expires_at_seconds = int(self.clock()) + response.expires_in_seconds
        return _RESPONSE_ADAPTER.dump_json(replace(response, expires_in_seconds=expires_at_seconds)).decode()

    def _load(self, stored: str) -> TokenResponse:
        response = _RESPONSE_ADAPTER.validate_json(stored)
        return replace(response, expires_in_seconds=max(0, response.expires_in_seconds - int(self.clock())))


def _requested_scopes(grant: AuthorizationGrant, request: TokenRequest) -> tuple[str, ...]:
    """The requested scopes; those of the grant by default. Raises `InvalidScope`.

    Clients repeat the scopes of the authorization request. Scopes that were not granted then (`dropped`) are ignored
    later; others must not be requested (RFC 6749 section 6).
    """
    requested = grant.scopes if request.scopes is None else request.scopes
    if not set(requested) <= {*grant.scopes, *grant.dropped}:
        raise InvalidScope("scope names more than was requested at the authorization endpoint")
    return requested
