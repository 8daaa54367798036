"""A code becomes tokens, once (RFC 6749 section 4.1.3, RFC 7636 section 4.6)."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass

from auth_service.audit_recorder import AuditRecorder
from auth_service.errors import InvalidGrant, InvalidRequest
from auth_service.grants.grant_handler import TokenRequest, TokenResponse
from auth_service.grants.user_tokens import UserTokenMinter, check_resource
from auth_service.http.throttle import Throttle
from auth_service.protocol import GrantType
from auth_service.scopes import Scope
from auth_service.tokens.authorization_codes import AuthorizationCodes, IssuedCode, RedeemedCode, Redemption
from auth_service.tokens.refresh_tokens import RefreshTokens
from security_common.audit import Action, EventType, Outcome

__all__ = ["CODE_RULES", "FREE_GUESSES", "AuthorizationCodeGrant"]

# Unknown codes that cost no waiting, from one client and address: more than any honest client ever sends.
FREE_GUESSES = 20

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCodeGrant:
    """The grant behind a sign-in. Guessed codes are counted for the client from its address."""

    codes: AuthorizationCodes
    families: RefreshTokens
    tokens: UserTokenMinter
    guesses: Throttle
    record: AuditRecorder
    grant_type: GrantType = GrantType.AUTHORIZATION_CODE
    parameters: frozenset[str] = frozenset({"code", "redirect_uri", "code_verifier"})

    async def exchange(self, request: TokenRequest) -> TokenResponse:
        code = request.parameters.get("code")
        if code is None:
            raise InvalidRequest("code is missing")
        who = (request.client.client_id, request.source_address)
        self.guesses.check(*who)
        taken = await self.codes.take(code)
        if taken.granted is None:
            await self._refuse(taken, request, who)
            raise InvalidGrant("the code is not known, was used, or has expired")
        for check in CODE_RULES:
            check(taken.granted, request)
        answer = await self._answer(taken.granted, request)
        await self.codes.close(code, taken.granted.grant.family)
        return answer

    async def _answer(self, granted: IssuedCode, request: TokenRequest) -> TokenResponse:
        grant, client = granted.grant, request.client
        # OpenID Connect asks for offline_access (section 11); plain OAuth leaves it to us, and clients count on it.
        wants_refresh = Scope.OFFLINE_ACCESS in grant.scopes or Scope.OPENID not in grant.scopes
        refreshes = wants_refresh and GrantType.REFRESH_TOKEN in client.grant_types
        refresh_token = await self.families.begin(grant) if refreshes else None
        return await self.tokens.mint(
            grant, client, scopes=grant.scopes, refresh_token=refresh_token, nonce=granted.nonce
        )

    async def _refuse(self, taken: RedeemedCode, request: TokenRequest, who: tuple[str, str]) -> None:
        """A used code that comes back was copied: what it gave is revoked (RFC 6749 section 4.1.2)."""
        if taken.redemption is Redemption.UNKNOWN:
            await self.guesses.count(*who)
        if taken.family is not None:
            await self.families.revoke(taken.family)
            await self.record(
                request,
                event_type=EventType.CODE_REUSE,
                action=Action.FAMILY_REVOKED,
                client_id=request.client.client_id,
                outcome=Outcome.REFUSED,
            )


def check_client(granted: IssuedCode, request: TokenRequest) -> None:
    if granted.grant.client_id != request.client.client_id:
        raise InvalidGrant("the code was issued to another client")


def check_redirect(granted: IssuedCode, request: TokenRequest) -> None:
    if request.parameters.get("redirect_uri") != granted.redirect_uri:
        raise InvalidGrant("redirect_uri is not the one of the authorization request")


def check_verifier(granted: IssuedCode, request: TokenRequest) -> None:
    verifier = request.parameters.get("code_verifier") or ""
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
    if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(challenge, granted.code_challenge):
        raise InvalidGrant("code_verifier does not match the code_challenge")


def check_granted_resource(granted: IssuedCode, request: TokenRequest) -> None:
    check_resource(granted.grant, request)


CODE_RULES: tuple[Callable[[IssuedCode, TokenRequest], None], ...] = (
    check_client,
    check_redirect,
    check_verifier,
    check_granted_resource,
)
