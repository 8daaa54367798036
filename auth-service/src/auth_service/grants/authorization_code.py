"""The grant authorization_code: a code is exchanged for tokens, once (RFC 6749 section 4.1.3, RFC 7636 section 4.6)."""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from auth_service.audit_recorder import AuditRecorder
from auth_service.errors import InvalidGrant, InvalidRequest
from auth_service.federation.rechecks import ProviderCheck
from auth_service.grants.grant_handler import TokenRequest, TokenResponse
from auth_service.grants.user_tokens import UserTokenMinter, check_resource
from auth_service.http.parameters import Parameter
from auth_service.http.rate_limits import Throttle
from auth_service.protocol import GrantType, base64url
from auth_service.scopes import Scope
from auth_service.token_status.status_indices import ListKind, StatusIndices
from auth_service.tokens.authorization_codes import AuthorizationCodes, IssuedCode, RedeemedCode, Redemption
from auth_service.tokens.grant_permissions import GRANT_ENDED, GrantPermissionsReader
from auth_service.tokens.grant_revocation import GrantRevocation
from auth_service.tokens.live_grants import LiveGrants
from auth_service.tokens.refresh_tokens import RefreshTokens
from security_common.audit import Action, EventType, Outcome

__all__ = ["CODE_RULES", "FREE_GUESSES", "AuthorizationCodeGrantHandler"]

# Unknown codes from one client and address that cause no waiting time: more than a correct client ever sends.
FREE_GUESSES = 20

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCodeGrantHandler:
    """Follows a sign-in. Unknown codes are counted per client and address, against guessing."""

    codes: AuthorizationCodes
    refresh_tokens: RefreshTokens
    statuses: StatusIndices
    live_grants: LiveGrants
    revocation: GrantRevocation
    permissions: GrantPermissionsReader
    provider_check: ProviderCheck
    tokens: UserTokenMinter
    failures: Throttle
    record: AuditRecorder
    grant_type: GrantType = GrantType.AUTHORIZATION_CODE
    parameters: tuple[Parameter, ...] = (
        Parameter("code", "The authorization code."),
        Parameter("redirect_uri", "The redirect URI of the authorization request."),
        Parameter("code_verifier", "The PKCE code verifier (RFC 7636)."),
    )

    async def exchange(self, request: TokenRequest) -> TokenResponse:
        code = request.parameters.get("code")
        if code is None:
            raise InvalidRequest("code is missing")
        self.failures.check(request.client.client_id, request.source_address)
        redeemed = await self.codes.redeem(code)
        if redeemed.issued is None:
            await self._handle_refusal(redeemed, request)
            raise InvalidGrant("the code is not known, was used, or has expired")
        for check in CODE_RULES:
            check(redeemed.issued, request)
        response = await self._issue_tokens(redeemed.issued, request)
        await self.codes.mark_redeemed(code, redeemed.issued.grant)
        return response

    async def _issue_tokens(self, issued: IssuedCode, request: TokenRequest) -> TokenResponse:
        """Raises `InvalidGrant` or `InvalidScope` if the user may not be given these tokens any more."""
        client, status = request.client, await self.statuses.assign(ListKind.GRANTS)
        grant = replace(issued.grant, status=status)
        # OpenID Connect Core section 11 requires offline_access for a refresh token. Plain OAuth leaves it to the
        # server, and clients expect one.
        wants_refresh_token = Scope.OFFLINE_ACCESS in grant.scopes or Scope.OPENID not in grant.scopes
        has_refresh_token = wants_refresh_token and GrantType.REFRESH_TOKEN in client.grant_types
        # Before the permissions are read: what ends the user's grants from now on finds this one.
        await self.live_grants.add(grant, status, has_refresh_token=has_refresh_token)
        permissions = await self.permissions.read(grant)
        if permissions is None:
            raise InvalidGrant(GRANT_ENDED)
        scopes = permissions.restrict(grant.scopes, client)
        refresh_token = None
        if has_refresh_token:
            refresh_token = await self.refresh_tokens.issue(grant)
            await self.provider_check.plan(grant)
        return await self.tokens.mint(
            grant, client, scopes=scopes, status=status, refresh_token=refresh_token, nonce=issued.nonce
        )

    async def _handle_refusal(self, redeemed: RedeemedCode, request: TokenRequest) -> None:
        """A reused code was copied: its tokens are revoked (RFC 6749 section 4.1.2)."""
        if redeemed.redemption is Redemption.UNKNOWN:
            await self.failures.count(request.client.client_id, request.source_address)
        if redeemed.reused is not None:
            await self.revocation.revoke(redeemed.reused.subject, redeemed.reused.family_id)
            await self.record(
                request,
                event_type=EventType.CODE_REUSE,
                action=Action.FAMILY_REVOKED,
                client_id=request.client.client_id,
                user_id=redeemed.reused.subject,
                outcome=Outcome.REFUSED,
            )


def check_client(issued: IssuedCode, request: TokenRequest) -> None:
    if issued.grant.client_id != request.client.client_id:
        raise InvalidGrant("the code was issued to another client")


def check_redirect(issued: IssuedCode, request: TokenRequest) -> None:
    if request.parameters.get("redirect_uri") != issued.redirect_uri:
        raise InvalidGrant("redirect_uri is not the one of the authorization request")


def check_verifier(issued: IssuedCode, request: TokenRequest) -> None:
    verifier = request.parameters.get("code_verifier") or ""
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64url(digest)
    if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(challenge, issued.code_challenge):
        raise InvalidGrant("code_verifier does not match the code_challenge")


def check_granted_resource(issued: IssuedCode, request: TokenRequest) -> None:
    check_resource(issued.grant, request)


CODE_RULES: tuple[Callable[[IssuedCode, TokenRequest], None], ...] = (
    check_client,
    check_redirect,
    check_verifier,
    check_granted_resource,
)
