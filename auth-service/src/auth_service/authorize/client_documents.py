"""The privacy policy and the terms of a client, as links on the consent page, if they are safe to show.

A client chooses these addresses itself. A link to another host could lend the client the name of that host, or lead
users to a site of its choice: so they must have the host of the client (RFC 7591 section 5), unless the operator has
set it up.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from auth_service.clients.client import Client
from security_common.web_urls import parse_web_url

__all__ = ["client_documents"]


def client_documents(client: Client, redirect_uri: str) -> Sequence[Mapping[str, str]]:
    """For each link the key of its text in texts.yaml, its address and its host. Only https addresses are shown.

    `redirect_uri` is that of the request.
    """
    addresses = {"consent.policy": client.policy_uri, "consent.terms": client.tos_uri}
    return [
        {"text": text, "address": address, "host": parse_web_url(address).host}
        for text, address in addresses.items()
        if address is not None and _is_safe(address, client, redirect_uri)
    ]


def _is_safe(address: str, client: Client, redirect_uri: str) -> bool:
    url = parse_web_url(address)
    return url.scheme == "https" and (client.is_from_operator or url.host == _host_of(client, redirect_uri))


def _host_of(client: Client, redirect_uri: str) -> str | None:
    """The host of the client's metadata document; for a client that registered itself, the host that gets the code.

    Its other redirect URIs do not count: it can register those of any host, and never use them.
    """
    if client.host is not None:
        return client.host
    redirect = urlsplit(redirect_uri)
    return redirect.hostname if redirect.scheme == "https" else None
