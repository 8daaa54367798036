"""Client metadata (RFC 7591 section 2), from a registration or from a metadata document, made into a client.

Members this server does not know are ignored, as the RFC wants; values it does not offer are narrowed where the client
can live with that (grants, scopes) and refused where it cannot (redirects, authentication).


JSON objects from strangers: registrations, metadata documents and key sets are read by one strict parser.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from auth_service.clients.client import UNNAMED_CLIENT, Client, ClientOrigin
from auth_service.clients.loopback_redirects import is_loopback_redirect
from auth_service.clients.redirect_uris import check_redirect_uri
from auth_service.errors import InvalidClientMetadata, InvalidRedirectUri
from auth_service.protocol import AuthMethod, GrantType
from auth_service.scopes import Scope
from auth_service.web.visible_names import visible_name
from security_common.tokens.strict_json import parse_json
from security_common.web_urls import parse_web_url

__all__ = [
    "MAX_KEYS",
    "METADATA_RULES",
    "PRIVATE_MEMBERS",
    "Members",
    "find_dropped",
    "make_self_described_client",
    "parse_members",
    "read_text",
    "read_texts",
]

Members = Mapping[str, Any]

_MAX_REDIRECTS = 20
# All keys of a set are read for each assertion: dozens of them would hold the event loop for as long as a page takes.
MAX_KEYS = 16
_USER_GRANTS = frozenset({GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN})

# Registered with IANA: asking for one that is not offered here is no mistake, inventing one is.
_KNOWN_GRANTS = frozenset(
    {
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "implicit",
        "password",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:saml2-bearer",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:openid:params:grant-type:ciba",
    }
)
_KNOWN_RESPONSE_TYPES = frozenset({"code", "token", "id_token", "none"})
_WEB_MEMBERS = ("client_uri", "logo_uri", "policy_uri", "tos_uri")
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def make_self_described_client(
    members: Members,
    *,
    client_id: str,
    origin: ClientOrigin,
    auth_methods: frozenset[AuthMethod],
    scopes: tuple[str, ...],
    now: float,
) -> Client:
    """The client that these members describe; it gets what any self-registered client gets, and never more.

    Raises `InvalidClientMetadata` or `InvalidRedirectUri`.
    """
    for check in METADATA_RULES:
        check(members)
    redirect_uris = tuple(read_texts(members, "redirect_uris"))
    asked = frozenset(read_texts(members, "grant_types")) or {GrantType.AUTHORIZATION_CODE}
    native = read_text(members, "application_type") == "native" or all(map(is_loopback_redirect, redirect_uris))
    return Client(
        client_id=client_id,
        name=visible_name(read_text(members, "client_name") or "") or urlsplit(client_id).hostname or UNNAMED_CLIENT,
        origin=origin,
        auth_methods=auth_methods,
        grant_types=frozenset(grant for grant in _USER_GRANTS if grant in asked),
        scopes=frozenset(scopes),
        default_scopes=tuple(scope for scope in scopes if scope == Scope.MCP_ACCESS),
        redirect_uris=redirect_uris,
        post_logout_redirect_uris=tuple(read_texts(members, "post_logout_redirect_uris")),
        signing_keys=cast("Mapping[str, Any] | None", members.get("jwks")),
        signing_keys_uri=read_text(members, "jwks_uri"),
        application_type="native" if native else "web",
        client_uri=_web_address(members, "client_uri"),
        logo_uri=_web_address(members, "logo_uri"),
        policy_uri=_web_address(members, "policy_uri"),
        tos_uri=_web_address(members, "tos_uri"),
        created_at_seconds=now,
    )


def find_dropped(members: Members) -> tuple[str, ...]:
    """The members that a client of these gave and that it is not registered with, since their value cannot be used."""
    given = (name for name in _WEB_MEMBERS if members.get(name))
    return tuple(name for name in given if _web_address(members, name) is None)


def read_text(members: Members, name: str) -> str | None:
    """A string member, or None. Raises `InvalidClientMetadata` when it is something else."""
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidClientMetadata(f"{name} must be a string")
    return value or None


def read_texts(members: Members, name: str) -> list[str]:
    """A member that is a list of strings; empty when it is absent. Raises `InvalidClientMetadata`."""
    value = members.get(name)
    if value is None:
        return []
    listed = cast("list[Any]", value) if isinstance(value, list) else None
    if listed is None or not all(isinstance(item, str) for item in listed):
        raise InvalidClientMetadata(f"{name} must be a list of strings")
    return cast("list[str]", listed)


def check_redirects(members: Members) -> None:
    try:
        uris = read_texts(members, "redirect_uris")
    except InvalidClientMetadata as error:
        raise InvalidRedirectUri(error.description) from error
    if not uris:
        raise InvalidRedirectUri("redirect_uris is missing")
    if len(uris) > _MAX_REDIRECTS:
        raise InvalidRedirectUri(f"more than {_MAX_REDIRECTS} redirect_uris")
    for uri in (*uris, *read_texts(members, "post_logout_redirect_uris")):
        check_redirect_uri(uri)


def check_code_grant(members: Members) -> None:
    asked = read_texts(members, "grant_types")
    if asked and GrantType.AUTHORIZATION_CODE not in asked:
        raise InvalidClientMetadata("grant_types must hold authorization_code: it is what registered clients get")


def check_response_types(members: Members) -> None:
    asked = read_texts(members, "response_types")
    if asked and "code" not in asked:
        raise InvalidClientMetadata("response_types must hold code")


def check_keys(members: Members) -> None:
    keys = members.get("jwks")
    if keys is not None and members.get("jwks_uri") is not None:
        raise InvalidClientMetadata("give jwks or jwks_uri, not both")
    jwks_uri = read_text(members, "jwks_uri")
    if jwks_uri is not None and not _is_https(jwks_uri):
        raise InvalidClientMetadata("jwks_uri must be an https URL")
    listed: Any = cast("dict[str, Any]", keys).get("keys") if isinstance(keys, dict) else None
    if keys is not None and not (isinstance(listed, list) and all(map(_is_public_key, cast("list[Any]", listed)))):
        raise InvalidClientMetadata("jwks must be a JWK Set of public keys")
    if keys is not None and len(cast("list[Any]", listed)) > MAX_KEYS:
        raise InvalidClientMetadata(f"jwks has more than {MAX_KEYS} keys")


METADATA_RULES: tuple[Callable[[Members], None], ...] = (
    check_redirects,
    check_code_grant,
    check_response_types,
    check_keys,
)


def refuse_unknown_values(members: Members) -> None:
    """What no registry knows is a mistake of whoever registers (RFC 7591 section 3.2.2)."""
    unknown = [
        *(name for name in read_texts(members, "grant_types") if name not in _KNOWN_GRANTS),
        *(
            name
            for name in read_texts(members, "response_types")
            if not name or not _KNOWN_RESPONSE_TYPES.issuperset(name.split())
        ),
    ]
    if unknown:
        raise InvalidClientMetadata("grant_types or response_types hold a value that is not known")


def _is_public_key(key: Any) -> bool:
    members = cast("dict[str, Any]", key) if isinstance(key, dict) else {}
    return "kty" in members and members["kty"] != "oct" and not PRIVATE_MEMBERS & members.keys()


def _web_address(members: Members, name: str) -> str | None:
    """An https URL, or None: a page never links to anything else."""
    value = members.get(name)
    return value if isinstance(value, str) and _is_https(value) else None


def _is_https(url: str) -> bool:
    try:
        return parse_web_url(url).scheme == "https"
    except ValueError:
        return False


_MAX_DEPTH = 32


def parse_members(body: bytes) -> Members:
    """The members of the object. Raises ValueError for anything else: not UTF-8, a member twice, NaN, too deep, a lone
    surrogate, a number that is too large.
    """
    value: Any = parse_json(body, max_depth=_MAX_DEPTH)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - like everything else that is wrong with the body
    return cast("dict[str, Any]", value)
