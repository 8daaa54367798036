"""The contract between the transports and the credentials that they send, and the token of the present caller."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from security_common.edge import current_request
from security_common.errors import SecurityError
from security_common.guard.bearer_token import read_bearer_token
from security_common.tokens import AccessToken, current_caller
from security_common.tool_policy import owner_of

__all__ = ["Credential", "CredentialUnavailable", "InboundToken", "require_inbound_token"]


class CredentialUnavailable(SecurityError):
    """The gateway has no credential for an upstream at present. No text of an issuer is in the message."""

    error: ClassVar[str] = "upstream_credential_unavailable"


class Credential(Protocol):
    """Gives the headers that identify the gateway. `owner` is the caller of a request, or empty for its own requests.

    Raises `CredentialUnavailable`, or `SecretMissing` if a file cannot be read.
    """

    async def headers(self, owner: str) -> Mapping[str, str]:
        """The headers for a request."""
        ...

    async def renew(self, owner: str, refused: Mapping[str, str]) -> Mapping[str, str] | None:
        """Other headers, after the upstream has not accepted these; None if there are no others."""
        ...

    async def close(self) -> None:
        """Ends what is in progress."""
        ...


@dataclass(frozen=True, slots=True)
class InboundToken:
    """The access token of a caller, which the guard has verified."""

    token: str = field(repr=False)
    claims: AccessToken


def require_inbound_token(owner: str) -> InboundToken:
    """The token of the request that is being served, which has to be one of this owner.

    It comes from the context that the guard has set. If it were a member of every request to an upstream, each
    transport would have it, and could send it. Raises `CredentialUnavailable` outside of a request of this owner.
    """
    request, caller = current_request.get(), current_caller.get()
    if request is None or caller is None or owner_of(caller.token.issuer, caller.token.subject) != owner:
        raise CredentialUnavailable("there is no access token of the caller to exchange")
    return InboundToken(read_bearer_token(request.headers, b""), caller.token)
