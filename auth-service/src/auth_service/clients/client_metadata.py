"""Client metadata (RFC 7591 section 2), from a registration or from a metadata document, made into a client.

Unknown members are ignored, as the RFC requires. Unsupported values are left out if the client still works without them
(grants, scopes) and refused if it does not (redirects, authentication).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from auth_service.clients.client import UNNAMED_CLIENT, Client, ClientOrigin
from auth_service.clients.loopback_redirects import is_loopback_redirect
from auth_service.clients.redirect_uris import check_redirect_uri
from auth_service.errors import InvalidClientMetadata, InvalidRedirectUri
from auth_service.protocol import AuthMethod, GrantType
from auth_service.scopes import Scope
from auth_service.web.visible_names import visible_name
from security_common.strict_json import parse_json
from security_common.web_urls import parse_web_url

__all__ = [
    "MAX_KEYS",
    "METADATA_RULES",
    "PRIVATE_MEMBERS",
    "Members",
    "check_jwks_uri",
    "check_key_count",
    "find_dropped",
    "make_self_described_client",
    "parse_members",
    "read_text",
    "read_texts",
]

Members = Mapping[str, Any]

_MAX_REDIRECTS = 20
# Every assertion imports all keys of the set: with dozens of them it would block the event loop for too long.
MAX_KEYS = 16
_USER_GRANTS = frozenset({GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN})

# Registered with IANA. A known grant that this server does not offer is ignored; an unknown one is a mistake.
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
    """The client that these members describe. `scopes` are those of every self-described client.

    Raises `InvalidClientMetadata` or `InvalidRedirectUri`.
    """
    for check in METADATA_RULES:
        check(members)
    redirect_uris = tuple(read_texts(members, "redirect_uris"))
    requested_grants = frozenset(read_texts(members, "grant_types")) or {GrantType.AUTHORIZATION_CODE}
    native = read_text(members, "application_type") == "native" or all(map(is_loopback_redirect, redirect_uris))
    return Client(
        client_id=client_id,
        name=visible_name(read_text(members, "client_name") or "") or urlsplit(client_id).hostname or UNNAMED_CLIENT,
        origin=origin,
        auth_methods=auth_methods,
        grant_types=frozenset(grant for grant in _USER_GRANTS if grant in requested_grants),
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
    """The members that `make_self_described_client` leaves out because their value is not an https URL."""
    return tuple(name for name in _WEB_MEMBERS if members.get(name) and _web_address(members, name) is None)


def read_text(members: Members, name: str) -> str | None:
    """A string member; None if it is absent or empty. Raises `InvalidClientMetadata` for any other type."""
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidClientMetadata(f"{name} must be a string")
    return value or None


def read_texts(members: Members, name: str) -> list[str]:
    """A member that is a list of strings; empty if it is absent. Raises `InvalidClientMetadata` for any other type."""
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
    grant_types = read_texts(members, "grant_types")
    if grant_types and GrantType.AUTHORIZATION_CODE not in grant_types:
        raise InvalidClientMetadata("grant_types must contain authorization_code: registered clients sign users in")


def check_response_types(members: Members) -> None:
    response_types = read_texts(members, "response_types")
    if response_types and "code" not in response_types:
        raise InvalidClientMetadata("response_types must contain code")


def check_keys(members: Members) -> None:
    jwks: Any = members.get("jwks")
    if jwks is not None and members.get("jwks_uri") is not None:
        raise InvalidClientMetadata("send jwks or jwks_uri, not both")
    jwks_uri = read_text(members, "jwks_uri")
    if jwks_uri is not None:
        check_jwks_uri(jwks_uri)
    if jwks is None:
        return
    keys: Any = cast("dict[str, Any]", jwks).get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not all(map(_is_public_key, cast("list[Any]", keys))):
        raise InvalidClientMetadata("jwks must be a JWK Set of public keys")
    check_key_count(cast("list[Any]", keys))


def check_jwks_uri(jwks_uri: str) -> None:
    if not _is_https(jwks_uri):
        raise InvalidClientMetadata("jwks_uri must be an https URL")


def check_key_count(keys: Sequence[Any]) -> None:
    if len(keys) > MAX_KEYS:
        raise InvalidClientMetadata(f"the JWK Set has more than {MAX_KEYS} keys")


METADATA_RULES: tuple[Callable[[Members], None], ...] = (
    check_redirects,
    check_code_grant,
    check_response_types,
    check_keys,
)


def refuse_unknown_values(members: Members) -> None:
    """Refuses values that are in no registry (RFC 7591 section 3.2.2). Metadata documents are exempt."""
    for grant_type in read_texts(members, "grant_types"):
        if grant_type not in _KNOWN_GRANTS:
            raise InvalidClientMetadata("grant_types contains a value that is not known")
    for response_type in read_texts(members, "response_types"):
        if not response_type or not _KNOWN_RESPONSE_TYPES.issuperset(response_type.split()):
            raise InvalidClientMetadata("response_types contains a value that is not known")


def _is_public_key(key: Any) -> bool:
    members = cast("dict[str, Any]", key) if isinstance(key, dict) else {}
    return "kty" in members and members["kty"] != "oct" and not PRIVATE_MEMBERS & members.keys()


def _web_address(members: Members, name: str) -> str | None:
    """The member if it is an https URL, else None: pages link to nothing else."""
    value = members.get(name)
    return value if isinstance(value, str) and _is_https(value) else None


def _is_https(url: str) -> bool:
    try:
        return parse_web_url(url).scheme == "https"
    except ValueError:
        return False


_MAX_DEPTH = 32


def parse_members(body: bytes) -> Members:
    """The members of a JSON object from an untrusted sender: a registration, a metadata document or a key set.

    Raises ValueError if the body is anything else, or is not UTF-8, repeats a member, is nested too deeply, or contains
    NaN, a lone surrogate or a number that is too large.
    """
    value: Any = parse_json(body, max_depth=_MAX_DEPTH)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - callers handle one exception for every defect of the body
    return cast("dict[str, Any]", value)
