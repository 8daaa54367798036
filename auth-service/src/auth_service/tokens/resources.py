"""Resource indicators: which protected resource a token is for (RFC 8707)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from auth_service.clients.model import Client
from auth_service.declaration import Declaration
from auth_service.errors import InvalidTarget

__all__ = ["Resource", "Resources", "ScopeText", "declared_resources", "normalise_resource"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeText:
    """What a scope allows, in the words of the consent page."""

    ko: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A protected resource as auth.yaml declares it; `scopes` keeps the order of the declaration."""

    url: str
    name: str
    scopes: Mapping[str, ScopeText]


class Resources:
    """The declared resources. The first one declared as default is meant when a request names none."""

    def __init__(self, declared: Sequence[Resource], default_url: str) -> None:
        self._by_url = {normalise_resource(resource.url): resource for resource in declared}
        self.default = self._by_url[normalise_resource(default_url)]

    def resolve(self, requested: Sequence[str], client: Client) -> Resource:
        """The one resource a token is for. Raises `InvalidTarget`: unknown, malformed, several, not this client's."""
        if len(set(requested)) > 1:
            raise InvalidTarget("a token is for one resource: send one resource parameter")
        allowed = tuple(map(normalise_resource, client.resources))
        if not requested:
            return self._by_url[allowed[0]] if allowed else self.default
        wanted = normalise_resource(requested[0])
        resource = self._by_url.get(wanted)
        if resource is None or (allowed and wanted not in allowed):
            raise InvalidTarget("the resource is not known to this server, or not the client's to ask for")
        return resource


def declared_resources(declaration: Declaration) -> Resources:
    """The resources of auth.yaml; without a marked default the first one is it."""
    declared = declaration.resources
    made = [
        Resource(
            url=resource.url,
            name=resource.name,
            scopes={name: ScopeText(ko=text.ko, en=text.en) for name, text in resource.scopes.items()},
        )
        for resource in declared
    ]
    default = next((resource for resource in declared if resource.default), declared[0])
    return Resources(made, default_url=default.url)


def normalise_resource(uri: str) -> str:
    """Scheme and host in lower case, no default port; the rest, a trailing slash too, counts as written.

    Raises `InvalidTarget` for what RFC 8707 section 2 forbids: relative, or with a fragment.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise InvalidTarget("resource must be an absolute URI") from error
    if not parts.scheme or not parts.hostname or not uri.isascii() or "#" in uri:
        raise InvalidTarget("resource must be an absolute URI without a fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is not None and port != _DEFAULT_PORTS.get(parts.scheme):
        host = f"{host}:{port}"
    userinfo = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{userinfo}{host}{parts.path}{query}"
