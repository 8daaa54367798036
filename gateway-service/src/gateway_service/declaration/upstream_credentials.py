"""The credentials of upstreams as frozen values: secrets, and tokens that the gateway gets from an issuer."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

__all__ = [
    "ClientCredentials",
    "OAuthClient",
    "SecretHeader",
    "TokenExchange",
    "TokenTarget",
    "UpstreamCredential",
    "credential_file",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretHeader:
    """A header with a secret from a file: `scheme`, a space and the secret, or the secret alone."""

    file: Path
    name: str = "Authorization"
    scheme: str = "Bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """How the gateway identifies itself at a token endpoint: with a secret, or with a private JWK."""

    client_id: str
    secret_file: Path | None = None
    key_file: Path | None = None

    @property
    def file(self) -> Path:
        """The file of the secret or of the key. Raises ValueError if there is neither."""
        file = self.key_file or self.secret_file
        if file is None:
            raise ValueError(f"the client {self.client_id} has neither a secret nor a key")
        return file


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTarget:
    """What a token is for: the URL of the upstream as a resource (RFC 8707), or an audience if the issuer needs one.

    Without `scopes`, the issuer decides which scopes the token has.
    """

    resource: str
    audience: str | None = None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """Tokens for the gateway itself (RFC 6749 section 4.4). `issuer` is None for the gateway's own issuer.

    `client` is None for the client of the settings, which is one of that issuer.
    """

    client: OAuthClient | None
    target: TokenTarget
    issuer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenExchange:
    """Tokens for the callers, which the gateway's own issuer exchanges for theirs (RFC 8693).

    `client` is None for the client of the settings.
    """

    client: OAuthClient | None
    target: TokenTarget


def credential_file(credential: "UpstreamCredential") -> Path | None:
    """The file with the secret or the key of a credential; None if the settings name it."""
    if isinstance(credential, SecretHeader):
        return credential.file
    return credential.client.file if credential.client is not None else None


UpstreamCredential: TypeAlias = SecretHeader | ClientCredentials | TokenExchange
