"""When a browser may be sent to a client's address without asking (RFC 9700 section 4.11.2).

Anybody can register a client with an address of their own. If errors were redirected there, a link to this server would
lead to any site of the world: an open redirector that lends the site our good name. So an address that nobody vouches
for is only reached by somebody who allowed the client, or by a button that names it.
"""

from urllib.parse import urlsplit

from markupsafe import Markup

from auth_service.clients.client import UNNAMED_CLIENT, Client, ClientOrigin
from auth_service.clients.loopback_redirects import is_loopback_redirect
from auth_service.web.errors import WayOn
from auth_service.web.visible_names import stranger_name

__all__ = ["VOUCHED_ORIGINS", "button_to", "client_title", "is_trusted_target", "target_name"]

# The operator of this server declared these clients, and their addresses with them.
VOUCHED_ORIGINS = frozenset({ClientOrigin.DECLARED, ClientOrigin.OPERATOR})


def is_trusted_target(client: Client, address: str) -> bool:
    """Whether the operator vouches for the address, or it is on the person's own machine."""
    return client.origin in VOUCHED_ORIGINS or is_loopback_redirect(address)


def target_name(address: str) -> str:
    """The host that the browser goes to; for a private scheme the scheme, which names an application of the device."""
    parts = urlsplit(address)
    return parts.netloc if parts.scheme in {"http", "https"} else f"{parts.scheme}:"


def client_title(client: Client, redirect_uri: str) -> Markup | None:
    """What a page calls the client: the name it gave itself, or the host that stands for it. None when there is nothing
    to see in either.
    """
    named = stranger_name(client.name) if client.name != UNNAMED_CLIENT else None
    if named is not None or is_loopback_redirect(redirect_uri):
        return named
    return stranger_name(client.host or target_name(redirect_uri))


def button_to(address: str) -> WayOn:
    """A button that names the host it leads to."""
    return WayOn("way_on.to_host", address, {"host": target_name(address)})
