"""Settings of auth-service, prefix AUTH_. Every secret comes from a file; none has a default."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from security_common.errors import SecurityError
from security_common.settings import SecuritySettings

__all__ = ["AuthSettings", "SecretMissing", "is_loopback_url", "read_secret", "require_file"]

_SETUP_HINT = "run `security-common setup DIRECTORY`, which makes every secret, and name the file below it"


def is_loopback_url(url: str) -> bool:
    """True when the URL's host is this machine by name or address."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class AuthSettings(BaseSettings):
    """Read from the environment at start. `security` holds what the library reads (SECURITY_)."""

    model_config = SettingsConfigDict(env_prefix="AUTH_", frozen=True)

    issuer: str = Field(
        default="http://localhost:8081",
        description="The issuer: the public base URL, byte for byte what stands in tokens and metadata. No trailing"
        " slash. https, unless it is this machine.",
    )
    resource: str = Field(
        default="http://localhost:8082/mcp",
        description="The protected resource that tokens are for when AUTH_CONFIG declares none.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8081, ge=0, le=65535, description="Port to listen on.")
    metrics_host: str = Field(default="127.0.0.1", description="Address the Prometheus metrics are served on.")
    metrics_port: int = Field(default=0, ge=0, le=65535, description="Port of the Prometheus metrics; 0 is off.")
    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="Redis with the user's name but never the password, for example redis://auth@redis:6379/0.",
    )
    redis_password_file: Path | None = Field(default=None, description="File with the password of the Redis user.")
    demo: bool = Field(
        default=False,
        description="Declares the client mcp-client/secret and the user demo/demo. Refused unless issuer and resource"
        " are this machine.",
    )
    config: Path | None = Field(
        default=None, description="The declaration (auth.yaml): resources, clients and the registration policy."
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks of the proxies whose X-Forwarded-For is believed, separated by commas.",
    )
    signing_key_kek_file: Path | None = Field(
        default=None, description="Keyring file whose key encrypts the private signing keys in Redis."
    )
    secret_pepper_file: Path | None = Field(
        default=None, description="File with the key of the HMAC that client secrets and tokens are kept as."
    )
    cookie_key_file: Path | None = Field(default=None, description="File with the key that binds forms to a session.")
    audit_page_public_key_file: Path | None = Field(
        default=None, description="Public JWK of the audit page, which signs in with private_key_jwt."
    )
    access_token_lifetime_seconds: int = Field(
        default=1800, ge=60, le=86400, description="How long an access token is valid, in seconds."
    )
    key_period_seconds: int = Field(
        default=30 * 86400,
        ge=1,
        description="How long a key signs before the next takes over, in seconds.",
    )
    key_lead_seconds: int = Field(
        default=65 * 60,
        ge=1,
        description="How long a key is published before it signs, in seconds. API Management caches for an hour.",
    )
    documentation_url: str = Field(
        default="https://github.com/microsoft/mcp-for-beginners",
        description="Where `/` and the metadata send people for documentation.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="json, console, or auto: console on a terminal, JSON elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log level."
    )
    security: SecuritySettings = Field(
        default_factory=SecuritySettings, description="Settings of the library, read from SECURITY_ variables."
    )

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip())
        return value

    @field_validator("issuer")
    @classmethod
    def _check_issuer(cls, issuer: str) -> str:
        parts = urlsplit(issuer)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an absolute http(s) URL without query and fragment")
        if issuer.endswith("/"):
            raise ValueError("must not end in a slash: clients compare it byte for byte")
        if parts.path:
            raise ValueError("must have no path: some clients look for the metadata at the root only")
        if parts.scheme == "http" and not is_loopback_url(issuer):
            raise ValueError("must be https unless it is this machine (RFC 8414 section 2)")
        return issuer

    @model_validator(mode="after")
    def _check_demo(self) -> Self:
        if self.demo and not (is_loopback_url(self.issuer) and is_loopback_url(self.resource)):
            raise ValueError(
                "AUTH_DEMO has a known secret: it works only while AUTH_ISSUER and AUTH_RESOURCE are loopback"
            )
        return self


class SecretMissing(SecurityError):
    """A secret's file is not named or cannot be read."""

    error = "secret_missing"


def require_file(path: Path | None, variable: str) -> Path:
    """The file that holds a secret. Raises `SecretMissing` naming the variable."""
    if path is None:
        raise SecretMissing(f"{variable} is not set", hint=_SETUP_HINT)
    return path


def read_secret(path: Path | None, variable: str) -> bytes:
    """The content of a secret's file without surrounding white space. Raises `SecretMissing` naming the variable."""
    named = require_file(path, variable)
    try:
        secret = named.read_bytes().strip()
    except OSError as error:
        raise SecretMissing(f"{variable}: {named} cannot be read ({error.strerror})", hint=_SETUP_HINT) from error
    if not secret:
        raise SecretMissing(f"{variable}: {named} is empty", hint=_SETUP_HINT)
    return secret
