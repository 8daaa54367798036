"""What a user has allowed one client, and the origin of all its tokens: the authorization grant."""

from dataclasses import dataclass

__all__ = ["AuthorizationGrant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationGrant:
    """What a person allowed a client, and the sign-in behind it. `family` names all tokens that come of it.

    `dropped` are the scopes that the client asked for as well and did not get.
    """

    family: str
    client_id: str
    subject: str
    resource: str
    scopes: tuple[str, ...]
    signed_in_at_seconds: int
    methods: tuple[str, ...]
    dropped: tuple[str, ...] = ()
