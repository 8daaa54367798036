"""Resource indicators: which protected resource a token is for (RFC 8707).

Identifiers are normalized before they are compared (RFC 8707 section 2, RFC 3986 section 6).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from auth_service.clients.client import Client
from auth_service.declaration import Declaration, DeclarationInvalid, DeclaredResource
from auth_service.declared_providers import DeclaredName
from auth_service.errors import InvalidTarget

__all__ = [
    "Resource",
    "Resources",
    "Text",
    "comparison_key",
    "declared_resources",
    "is_same_resource",
    "normalize_identifier",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A name, or what a scope allows, as the consent page shows it."""

    ko: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A protected resource as auth.yaml declares it; `scopes` keeps the order of the declaration."""

    url: str
    name: Text
    scopes: Mapping[str, Text]


class Resources:
    """The declared resources. `default_url` is the resource of a request that names none."""

    def __init__(self, declared: Sequence[Resource], default_url: str) -> None:
        self._by_key = {comparison_key(resource.url): resource for resource in declared}
        self.default = self._by_key[comparison_key(default_url)]

    def resolve(self, requested: Sequence[str], client: Client) -> Resource:
        """The resource of the token.

        Raises `InvalidTarget`: unknown, malformed, more than one, or not allowed for this client.
        """
        allowed = [comparison_key(url) for url in client.resources]
        default = self._by_key[allowed[0]] if allowed else self.default
        if not requested:
            return default
        keys = {comparison_key(uri) for uri in requested}
        if len(keys) > 1:
            raise InvalidTarget("a token is for one resource: send one resource parameter")
        key = keys.pop()
        if key not in self._by_key or (allowed and key not in allowed):
            suggestion = self._same_origin(key, allowed) or default
            raise InvalidTarget(f"the resource is unknown, or not allowed for this client; send {suggestion.url}")
        return self._by_key[key]

    def find(self, url: str) -> Resource:
        """The declared resource with this identifier. Raises `KeyError` if there is none."""
        return self._by_key[comparison_key(url)]

    def _same_origin(self, key: str, allowed: Sequence[str]) -> Resource | None:
        """An allowed resource at the same origin: many clients send only the origin."""
        origin = urlsplit(key)[:2]
        for candidate in allowed or self._by_key:
            if urlsplit(candidate)[:2] == origin:
                return self._by_key[candidate]
        return None


def is_same_resource(one: str, other: str) -> bool:
    """Whether two identifiers name the same resource. Invalid URIs are compared as strings."""
    try:
        return comparison_key(one) == comparison_key(other)
    except InvalidTarget:
        return one == other


def declared_resources(declaration: Declaration) -> Resources:
    """The resources of auth.yaml. The first one is the default if none is marked.

    Raises `DeclarationInvalid`: a resource is not a valid URI, two name the same resource, or a client has a resource
    that is not declared, or may exchange tokens for one that is not, or scopes that a resource does not have.
    """
    declared = declaration.resources
    made = [
        Resource(
            url=resource.url,
            name=_name_in_both_languages(resource.name),
            scopes={name: Text(ko=text.ko, en=text.en) for name, text in resource.scopes.items()},
        )
        for resource in declared
    ]
    known = _check_identifiers(declaration)
    _check_exchanges(declaration, known)
    default = next((resource for resource in declared if resource.default), declared[0])
    return Resources(made, default_url=default.url)


def _name_in_both_languages(name: str | DeclaredName) -> Text:
    return Text(ko=name, en=name) if isinstance(name, str) else Text(ko=name.ko, en=name.en)


def _check_identifiers(declaration: Declaration) -> dict[str, DeclaredResource]:
    """The declared resources by the key under which they are compared."""
    known: dict[str, DeclaredResource] = {}
    for resource in declaration.resources:
        key = _declared_key(resource.url)
        if key in known:
            raise DeclarationInvalid(
                f"the resources {known[key].url} and {resource.url} are the same",
                hint="remove one; case, default port and a final slash make no difference",
            )
        known[key] = resource
    for client in declaration.clients:
        exchanged = (url for rule in client.may_exchange for url in (*rule.sources, rule.target))
        for url in (*client.resources, *exchanged):
            if _declared_key(url) not in known:
                names = ", ".join(each.url for each in known.values())
                raise DeclarationInvalid(
                    f"client {client.client_id}: the resource {url} is not declared",
                    hint=f"declare it below `resources:`, or name one of: {names}",
                )
    return known


def _check_exchanges(declaration: Declaration, known: Mapping[str, DeclaredResource]) -> None:
    """Each scope of a client's `may_exchange` is one of the resource that it belongs to."""
    for client in declaration.clients:
        for rule in client.may_exchange:
            at_sources = frozenset[str]().union(*(known[_declared_key(url)].scopes for url in rule.sources))
            at_target = known[_declared_key(rule.target)].scopes.keys()
            for scope, given in rule.scopes.items():
                unknown = [] if scope in at_sources else [(scope, " or ".join(rule.sources))]
                unknown += [(each, rule.target) for each in given if each not in at_target]
                if unknown:
                    raise DeclarationInvalid(
                        f"client {client.client_id}: may_exchange names the scope {unknown[0][0]}, which"
                        f" {unknown[0][1]} does not have",
                        hint="write the scopes of `from` on the left, and those of `to` on the right",
                    )


def _declared_key(url: str) -> str:
    try:
        return comparison_key(url)
    except InvalidTarget as error:
        raise DeclarationInvalid(
            f"the resource {url} is not an absolute URI without a fragment", hint="write it as https://host/path"
        ) from error


_DEFAULT_PORTS = {"http": 80, "https": 443}

# RFC 3986 section 2: nothing else may occur in a URI. `urlsplit` would silently drop tabs and line ends.
_URI = re.compile(r"(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")


def normalize_identifier(uri: str) -> str:
    """The URI after RFC 3986 section 6.2.2 and 6.2.3: case, percent-encoding, dot segments, default port, empty path.

    Raises `InvalidTarget` for relative references and fragments (RFC 8707 section 2), and for URIs without a host.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise InvalidTarget("resource must be an absolute URI") from error
    if not _URI.fullmatch(uri) or not parts.scheme or not parts.hostname:
        raise InvalidTarget("resource must be an absolute URI without a fragment")
    path = _remove_dot_segments(_normalize_escapes(parts.path)) or "/"
    query = f"?{_normalize_escapes(parts.query)}" if "?" in uri else ""
    return f"{parts.scheme}://{_authority(parts, port)}{path}{query}"


def comparison_key(uri: str) -> str:
    """Equal for identifiers of the same resource: normalized, and without a slash at the end of the path.

    RFC 3986 does not remove the slash. But people type an address with or without it, clients derive the resource from
    that, and the server responds at both. Raises `InvalidTarget`.
    """
    before, mark, query = normalize_identifier(uri).partition("?")
    return f"{before.removesuffix('/')}{mark}{query}"


def _authority(parts: SplitResult, port: int | None) -> str:
    userinfo, at, _ = parts.netloc.rpartition("@")
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else _normalize_escapes(host).lower()
    shown_port = "" if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f":{port}"
    return f"{userinfo}{at}{host}{shown_port}"


def _normalize_escapes(text: str) -> str:
    """Percent-encoding in upper case, and only for characters that need it."""

    def rewrite(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        return character if _UNRESERVED.fullmatch(character) else found[0].upper()

    return _ESCAPE.sub(rewrite, text)


def _remove_dot_segments(path: str) -> str:
    """RFC 3986 section 5.2.4, for an absolute path."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    # A dot segment at the end leaves the slash before it.
    if segments and segments[-1] in {".", ".."}:
        kept.append("")
    return "".join(f"/{segment}" for segment in kept)
