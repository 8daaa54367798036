"""Resource indicators: which protected resource a token is for (RFC 8707)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from auth_service.clients.model import Client
from auth_service.declaration import Declaration, DeclarationInvalid
from auth_service.errors import InvalidTarget
from auth_service.tokens.resource_identifiers import comparison_key

__all__ = ["Resource", "Resources", "ScopeText", "declared_resources", "is_same_resource"]


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
    """The declared resources. `default_url` is the one that is meant when a request names none."""

    def __init__(self, declared: Sequence[Resource], default_url: str) -> None:
        self._by_key = {comparison_key(resource.url): resource for resource in declared}
        self.default = self._by_key[comparison_key(default_url)]

    def resolve(self, requested: Sequence[str], client: Client) -> Resource:
        """The one resource a token is for. Raises `InvalidTarget`: unknown, malformed, several, not this client's."""
        allowed = [comparison_key(url) for url in client.resources]
        default = self._by_key[allowed[0]] if allowed else self.default
        if not requested:
            return default
        wanted = {comparison_key(uri) for uri in requested}
        if len(wanted) > 1:
            raise InvalidTarget("a token is for one resource: send one resource parameter")
        key = wanted.pop()
        if key not in self._by_key or (allowed and key not in allowed):
            near = self._nearest(key, allowed) or default
            raise InvalidTarget(f"the resource is not known here, or not the client's to ask for; send {near.url}")
        return self._by_key[key]

    def _nearest(self, key: str, allowed: Sequence[str]) -> Resource | None:
        """A resource that the client may ask for at the same origin: many clients send the origin alone."""
        origin = urlsplit(key)[:2]
        same = (each for each in allowed or self._by_key if urlsplit(each)[:2] == origin)
        return next((self._by_key[each] for each in same), None)


def is_same_resource(one: str, other: str) -> bool:
    """Whether two identifiers mean one resource; False where one of them is no URI."""
    try:
        return comparison_key(one) == comparison_key(other)
    except InvalidTarget:
        return one == other


def declared_resources(declaration: Declaration) -> Resources:
    """The resources of auth.yaml; without a marked default the first one is it.

    Raises `DeclarationInvalid`: a resource is no URI, two mean the same, or a client names one that is not declared.
    """
    declared = declaration.resources
    made = [
        Resource(
            url=resource.url,
            name=resource.name,
            scopes={name: ScopeText(ko=text.ko, en=text.en) for name, text in resource.scopes.items()},
        )
        for resource in declared
    ]
    _check_identifiers(declaration)
    default = next((resource for resource in declared if resource.default), declared[0])
    return Resources(made, default_url=default.url)


def _check_identifiers(declaration: Declaration) -> None:
    known: dict[str, str] = {}
    for resource in declaration.resources:
        key = _declared_key(resource.url)
        if key in known:
            raise DeclarationInvalid(
                f"the resources {known[key]} and {resource.url} mean the same",
                hint="a token for one would be valid at the other; case, default port and a final slash do not count",
            )
        known[key] = resource.url
    for client in declaration.clients:
        for url in client.resources:
            if _declared_key(url) not in known:
                raise DeclarationInvalid(
                    f"client {client.client_id}: the resource {url} is not declared",
                    hint=f"declare it below `resources:`, or name one of: {', '.join(known.values())}",
                )


def _declared_key(url: str) -> str:
    try:
        return comparison_key(url)
    except InvalidTarget as error:
        raise DeclarationInvalid(
            f"the resource {url} is not an absolute URI without a fragment", hint="write it as https://host/path"
        ) from error
