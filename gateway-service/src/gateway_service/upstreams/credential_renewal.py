"""Requests with the credential of the gateway, which is renewed once if the upstream does not accept it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from gateway_service.credentials import Credential
from gateway_service.upstreams.errors import UpstreamRefusedCredential

__all__ = ["send_with_credential"]

T = TypeVar("T")


async def send_with_credential(
    credential: Credential | None, owner: str, send: Callable[[Mapping[str, str]], Awaitable[T]]
) -> T:
    """Calls `send` with the headers of the credential, and once again with others if the upstream refuses these.

    `owner` is the caller for whom it is sent. Raises what `send` raises, and what getting the credential raises.
    """
    if credential is None:
        return await send({})
    identity = await credential.headers(owner)
    try:
        return await send(identity)
    except UpstreamRefusedCredential as refusal:
        renewed = await credential.renew(owner, identity) if refusal.may_be_renewed else None
        if renewed is None:
            raise
    return await send(renewed)
