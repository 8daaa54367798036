"""The authorization grant: what a user has allowed one client, and what all tokens of that authorization come from."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from auth_service.token_status.status_indices import StatusReference

__all__ = ["AuthorizationGrant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationGrant:
    """A user's grant to a client, and the sign-in behind it.

    `family_id` identifies the grant: its refresh tokens are a family of that id, and the `jti` of its access tokens
    begins with it. `dropped` are the scopes that the client requested and did not get. `methods` is how the user signed
    in (`amr`, RFC 8176). `provider` is the identity provider at which the user signed in, None with a password here;
    `provider_session` is the session there (`sid`), if the provider names it. `authenticated_at_seconds` is
    when the user proved who they are (`auth_time`), None if the provider does not say it. `status` is the index of
    its access tokens in a status list, assigned when the code is redeemed. `is_asserted`: the provider issued an
    assertion to the client (ID-JAG), so there is no consent of the user.
    """

    family_id: Annotated[str, Field(alias="family")]  # the stored name
    client_id: str
    subject: str
    resource: str
    scopes: tuple[str, ...]
    signed_in_at_seconds: int
    methods: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    provider: str | None = None
    authenticated_at_seconds: int | None = None
    provider_session: str | None = None
    status: StatusReference | None = None
    is_asserted: bool = False
