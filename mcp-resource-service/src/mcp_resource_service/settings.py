"""Settings of the resource service, prefix MCP_. Every secret comes from a file; none has a default."""

from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from security_common.settings import SecuritySettings

__all__ = ["ResourceSettings", "TrustedIssuerSetting", "is_loopback_url"]


def is_loopback_url(url: str) -> bool:
    """True when the URL's host is this machine by name or address."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _check_exact(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an absolute http(s) URL without query and fragment")
    if url.endswith("/"):
        raise ValueError("must not end in a slash: clients compare it byte for byte")
    return url


def _check_public(url: str) -> str:
    if urlsplit(_check_exact(url)).scheme == "http" and not is_loopback_url(url):
        raise ValueError("must be https unless it is this machine")
    return url


ExactUrl = Annotated[str, AfterValidator(_check_exact)]
PublicUrl = Annotated[str, AfterValidator(_check_public)]


class TrustedIssuerSetting(BaseModel, frozen=True):
    """One more issuer whose tokens are accepted, as an element of MCP_TRUSTED_ISSUERS."""

    issuer: PublicUrl
    audience: str
    internal_url: ExactUrl | None = None
    typ: tuple[str, ...] = ("at+jwt", "application/at+jwt")


class ResourceSettings(BaseSettings):
    """Read from the environment at start. `security` holds what the library reads (SECURITY_)."""

    model_config = SettingsConfigDict(env_prefix="MCP_", frozen=True)

    resource: PublicUrl = Field(
        default="http://localhost:8082/mcp",
        description="Public URL of the MCP endpoint, which a token must name in `aud`. With a path, no trailing slash.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8082, ge=0, le=65535, description="Port to listen on.")
    metrics_host: str = Field(default="127.0.0.1", description="Address the Prometheus metrics are served on.")
    metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the Prometheus metrics; 0 switches them off."
    )
    issuer: PublicUrl = Field(
        default="http://localhost:8081",
        description="The issuer whose tokens are accepted, exactly as it writes itself.",
    )
    auth_internal_url: ExactUrl | None = Field(
        default=None,
        description="Where this process reaches the issuer when that is not its public URL, as in container networks.",
    )
    trusted_issuers: tuple[TrustedIssuerSetting, ...] = Field(
        default=(),
        description="More issuers, as a JSON list of objects with issuer, audience and, if needed, internal_url, typ.",
    )
    redis_url: str = Field(
        default="redis://mcp@127.0.0.1:6379/0",
        description="Redis with the user's name but never the password.",
    )
    redis_password_file: Path | None = Field(default=None, description="File with the password of the Redis user.")
    cookie_key_file: Path | None = Field(
        default=None, description="File with the key that signs the audit page's cookies."
    )
    audit_page_private_key_file: Path | None = Field(
        default=None,
        description="Private JWK the audit page signs in with (private_key_jwt). Without it there is no audit page.",
    )
    demo: bool = Field(
        default=False,
        description="Adds a synthetic directory and the tool create_test_token. Refused unless issuer and resource are"
        " this machine.",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks of the proxies whose X-Forwarded-For is believed, separated by commas.",
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Browser origins that may call this service, besides its own and loopback, separated by commas.",
    )
    requests_per_minute: int = Field(
        default=6000, ge=1, description="How many requests one caller (issuer and subject) may make in a minute."
    )
    drain_seconds: float = Field(
        default=0.0,
        ge=0,
        le=60,
        description="How long to go on answering after SIGTERM, with /readyz at 503, so that load balancers look away.",
    )
    documentation_url: str = Field(
        default="https://github.com/microsoft/mcp-for-beginners",
        description="Where `/` and the protected-resource metadata send people for documentation.",
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

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("resource")
    @classmethod
    def _check_path(cls, resource: str) -> str:
        if not urlsplit(resource).path:
            raise ValueError("needs a path, such as /mcp: `/` answers with the server's information")
        return resource

    @model_validator(mode="after")
    def _check_demo(self) -> Self:
        if self.demo and not (is_loopback_url(self.issuer) and is_loopback_url(self.resource)):
            raise ValueError("MCP_DEMO hands out tokens: it works only while MCP_ISSUER and MCP_RESOURCE are loopback")
        return self

    @cached_property
    def origin(self) -> str:
        """Scheme, host and port of the resource: the base of every URL this service publishes about itself."""
        parts = urlsplit(self.resource)
        return f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def mcp_path(self) -> str:
        """Path of the MCP endpoint on this server."""
        return urlsplit(self.resource).path
