"""The settings of the gateway, with the prefix GATEWAY_. Secrets are read from files; none has a default."""

from functools import cached_property
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from security_common.service import ServiceSettings, check_exact_url, check_public_url
from security_common.tokens import TrustedIssuer
from security_common.tool_policy.placeholder_store import DEFAULT_LIFETIME_SECONDS, DEFAULT_PER_OWNER
from security_common.web_urls import is_loopback_url

__all__ = ["ACCESS_SCOPE", "SERVICE", "GatewaySettings"]

# The name of this service in the audit trail.
SERVICE = "gateway-service"

ACCESS_SCOPE = "mcp.access"
"""The scope that every request to an MCP address needs."""

ExactUrl = Annotated[str, AfterValidator(check_exact_url)]
PublicUrl = Annotated[str, AfterValidator(check_public_url)]


class GatewaySettings(ServiceSettings):
    """The settings, read from the environment at start."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True)
    upstreams: Path | None = Field(
        default=None,
        description="The file that declares the MCP servers behind the gateway: gateway.yaml, or a JSON file with"
        " `mcpServers` or `servers` (docs/gateway.md).",
    )
    resource: PublicUrl = Field(
        default="http://localhost:8083/mcp",
        description="Public URL of the address with all upstreams; each of them alone is at this URL, a slash and its"
        " name. Tokens are issued for one of these URLs. It has a path and no trailing slash.",
    )
    port: int = Field(default=8083, ge=0, le=65535, description="Port to listen on.")
    issuer: PublicUrl = Field(
        default="http://localhost:8081", description="The issuer whose tokens are accepted, exactly as in its metadata."
    )
    auth_internal_url: ExactUrl | None = Field(
        default=None,
        description="URL at which this process reaches the issuer, if not at its public URL, as in container networks.",
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Browser origins that may call this service, separated by commas. Its own origin and, for a"
        " loopback resource, every loopback origin are always allowed.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Additional values of the Host header, separated by commas: a name, which allows every port, or"
        " name:port.",
    )
    requests_per_minute: int = Field(
        default=6000, ge=1, description="Maximum number of requests of one caller (issuer and subject) in a minute."
    )
    placeholder_lifetime_seconds: int = Field(
        default=DEFAULT_LIFETIME_SECONDS,
        ge=60,
        description="How long a placeholder for personal data is valid after a tool last returned it.",
    )
    placeholders_per_owner: int = Field(
        default=DEFAULT_PER_OWNER,
        ge=1,
        description="Maximum number of valid placeholders of one caller (issuer and subject).",
    )
    refresh_seconds: float = Field(
        default=300.0, ge=1, description="Seconds between two requests for the tool list of an upstream."
    )

    @field_validator("allowed_origins", "allowed_hosts", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("resource")
    @classmethod
    def _check_path(cls, resource: str) -> str:
        if not urlsplit(resource).path:
            raise ValueError("must have a path, such as /mcp")
        return resource

    @cached_property
    def origin(self) -> str:
        """Scheme, host and port of the resource: the base of every URL that this service publishes about itself."""
        parts = urlsplit(self.resource)
        return f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def mcp_path(self) -> str:
        """The path of the address with all upstreams."""
        return urlsplit(self.resource).path

    @property
    def is_local(self) -> bool:
        """Whether gateway and issuer are both on this machine."""
        return is_loopback_url(self.resource) and is_loopback_url(self.issuer)

    def resource_of(self, upstream: str) -> str:
        """The URL of the address of one upstream."""
        return f"{self.resource}/{upstream}"

    def trusted_issuer(self, upstreams: tuple[str, ...]) -> TrustedIssuer:
        """The issuer with the audiences of all addresses. The guard compares that of a token with its address."""
        audiences = (self.resource, *map(self.resource_of, upstreams))
        return TrustedIssuer(self.issuer, audiences, internal_url=self.auth_internal_url, setting="GATEWAY_ISSUER")
