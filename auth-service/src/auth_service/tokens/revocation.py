"""POST /oauth2/revoke: a client is done with a token (RFC 7009).

Any token of a user's grant ends the whole family: who signs out of a client means all of it. An unknown token, or
another client's, is answered 200 as well: there is nothing left to do, or nothing to learn.
"""

from dataclasses import dataclass

from auth_service.audit_recorder import AuditRecorder
from auth_service.clients.authentication import ClientAuthenticator
from auth_service.clients.client import Client
from auth_service.http.answers import NO_STORE
from auth_service.http.forms import parse_form
from auth_service.http.messages import WRITE, Answer, Endpoint, HttpRequest
from auth_service.tokens.issued_tokens import ACCESS_TOKEN_TYPE, IssuedTokenVerifier
from auth_service.tokens.refresh_tokens import RefreshTokens
from auth_service.tokens.revoked_tokens import RevokedTokens, family_of
from security_common.audit import Action, EventType

__all__ = ["Revocation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """The endpoint. `token_type_hint` is not needed: the two kinds of token cannot be mistaken for each other."""

    authenticator: ClientAuthenticator
    reader: IssuedTokenVerifier
    revoked: RevokedTokens
    refresh: RefreshTokens
    record: AuditRecorder

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            path="/oauth2/revoke",
            handler=self.answer,
            methods=WRITE,
            cross_origin=True,
            metadata={"revocation_endpoint": "/oauth2/revoke"},
        )

    async def answer(self, request: HttpRequest) -> Answer:
        form = parse_form(request)
        client = await self.authenticator.authenticate(request, form)
        subject = await self._revoke(form.require("token"), client)
        if subject is not None:
            await self.record(
                request,
                event_type=EventType.TOKEN_REVOKED,
                action=Action.REVOKED,
                client_id=client.client_id,
                user_id=subject,
            )
        return Answer(headers=NO_STORE)

    async def _revoke(self, token: str, client: Client) -> str | None:
        """Whose token it was, or None when nothing was to be done."""
        claims = self.reader.verify(token, token_type=ACCESS_TOKEN_TYPE)
        if claims is not None:
            if claims["client_id"] != client.client_id:
                return None
            await self._deny(claims["jti"])
            return str(claims["sub"])
        found = await self.refresh.look_up(token)
        if found is None or found.client_id != client.client_id:
            return None
        await self._deny(f"{found.family}.")
        return found.subject

    async def _deny(self, token_id: str) -> None:
        family, of_a_user = family_of(token_id), "." in token_id
        await self.revoked.revoke(family if of_a_user else token_id)
        if of_a_user:
            await self.refresh.delete_family(family)
