"""An issuer whose access tokens are accepted, with the profile of its tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from security_common.tokens.verification_keys import ALGORITHMS

__all__ = ["ACCESS_TOKEN_TYPE", "DEFAULT_TOKEN_BYTES", "MAX_TOKEN_BYTES", "ClaimValue", "TrustedIssuer", "media_type"]

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - a media type, not a password
DEFAULT_TOKEN_BYTES = 16 * 1024
# Leaves 8 KiB for the other headers of a request: all together may have 32 KiB (GuardPolicy.max_header_bytes).
MAX_TOKEN_BYTES = 24 * 1024
# What RFC 9068 section 2.2 requires besides `iss`, `sub`, `aud` and `exp`, which are required of every token.
RFC_9068_CLAIMS = ("client_id", "iat", "jti")

ClaimValue = str | int | bool


def media_type(typ: str) -> str:
    """A `typ` value for comparison: in lower case, without `application/` (RFC 7515 section 4.1.9)."""
    return typ.lower().removeprefix("application/")


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One authorization server with the profile of its tokens. The defaults fit every issuer that follows RFC 9068
    and signs with RS256.

    `issuer` is compared with `iss` byte for byte, including a slash at the end. One of the values in `audience` must
    be in the token's `audience_claim`. `internal_url` is the URL at which this process reaches the issuer, if that is
    not its public URL, as in container networks.

    `token_types` are the accepted values of the `typ` header, compared without case; an empty string accepts tokens
    without one. `algorithms` are the accepted signature algorithms: RS256 only, unless the issuer is declared with
    PS256, ES256 or EdDSA.

    Of each of `client_claims`, `scope_claims` and `token_id_claims`, the first claim that the token has is used. The
    name of a claim may be a path into objects: `realm_access.roles`.

    `required_claims` are required besides `iss`, `sub`, `exp` and the audience; each element is a name, or several
    names of which one is enough. If it is None, the claims of RFC 9068 are required when `at+jwt` is the only accepted
    type, and no claims otherwise. `expected_claims` must have one of the given values. A token with one of
    `forbidden_claims` is rejected: they distinguish ID tokens and security events from access tokens where the `typ`
    header does not.

    `scopes`, `roles` and `groups` map names in the token to scopes of this resource. A scope that is not mapped is used
    unchanged; a role or group that is not mapped gives no scope.

    `client_is_subject` rejects tokens whose client is not their subject. `max_token_bytes` is the largest size of the
    compact JWT. `setting` is the name of the setting that declares the issuer, for messages: `MCP_ISSUER` or
    `GATEWAY_ISSUER` for the service's own authorization server, `MCP_TRUSTED_ISSUERS` for others.

    Raises ValueError without any algorithm, and for one other than RS256, PS256, ES256 and EdDSA, such as `none`.
    """

    issuer: str
    audience: str | tuple[str, ...]
    internal_url: str | None = None
    token_types: tuple[str, ...] = (ACCESS_TOKEN_TYPE,)
    algorithms: tuple[str, ...] = ("RS256",)
    audience_claim: str = "aud"
    client_claims: tuple[str, ...] = ("client_id", "azp", "appid", "cid")
    scope_claims: tuple[str, ...] = ("scope", "scp")
    token_id_claims: tuple[str, ...] = ("jti", "uti")
    role_claims: tuple[str, ...] = ("roles",)
    group_claims: tuple[str, ...] = ("groups",)
    required_claims: tuple[str | tuple[str, ...], ...] | None = None
    expected_claims: Mapping[str, tuple[ClaimValue, ...]] = field(default_factory=dict[str, tuple[ClaimValue, ...]])
    forbidden_claims: tuple[str, ...] = ("nonce", "at_hash", "c_hash", "events")
    scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    client_is_subject: bool = False
    max_token_bytes: int = DEFAULT_TOKEN_BYTES
    setting: str = "MCP_ISSUER"

    def __post_init__(self) -> None:
        """Validates the algorithms."""
        unknown = set(self.algorithms) - ALGORITHMS.keys()
        if unknown or not self.algorithms:
            raise ValueError(f"algorithms must be one or more of {', '.join(ALGORITHMS)}")

    @property
    def is_own(self) -> bool:
        """Whether this is the service's own authorization server, and not one that is trusted in addition."""
        return self.setting.endswith("_ISSUER")

    @property
    def audiences(self) -> tuple[str, ...]:
        """The accepted audiences."""
        return (self.audience,) if isinstance(self.audience, str) else self.audience

    @property
    def base_url(self) -> str:
        """The URL at which this process reaches the issuer, without a slash at the end."""
        return (self.internal_url or self.issuer).removesuffix("/")

    def back_channel_url(self, url: str) -> str:
        """A URL from the issuer's metadata, with the issuer at its beginning replaced by the internal URL."""
        public = self.issuer.removesuffix("/")
        if url == public or url.startswith(f"{public}/"):
            return self.base_url + url.removeprefix(public)
        return url

    def accepts_type(self, typ: str) -> bool:
        """Whether a token may have this `typ` header; an empty string means that it has none."""
        return media_type(typ) in {media_type(each) for each in self.token_types}

    @property
    def all_required_claims(self) -> tuple[str | tuple[str, ...], ...]:
        """The claims that every token must have, besides `iss`, `sub`, `exp` and the audience."""
        if self.required_claims is not None:
            return self.required_claims
        only_rfc_9068 = all(media_type(each) == ACCESS_TOKEN_TYPE for each in self.token_types)
        return RFC_9068_CLAIMS if only_rfc_9068 else ()
