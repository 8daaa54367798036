"""The settings that every service with MCP addresses has: the resource service and the gateway."""

from functools import cached_property
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import SettingsConfigDict

from security_common.service.settings import ServiceSettings, TextList, check_exact_url, check_public_url
from security_common.tool_policy.placeholder_store import DEFAULT_LIFETIME_SECONDS, DEFAULT_PER_OWNER
from security_common.web_urls import is_loopback_url

__all__ = ["PublicUrl", "ResourceServerSettings"]

ExactUrl = Annotated[str, AfterValidator(check_exact_url)]
PublicUrl = Annotated[str, AfterValidator(check_public_url)]


class ResourceServerSettings(ServiceSettings):
    """Read from the environment at start. Each service gives `resource` its default and its description."""

    model_config = SettingsConfigDict(frozen=True)

    resource: PublicUrl = Field(description="Public URL of the MCP endpoint. It has a path and no trailing slash.")
    issuer: PublicUrl = Field(
        default="http://localhost:8081", description="The issuer whose tokens are accepted, exactly as in its metadata."
    )
    auth_internal_url: ExactUrl | None = Field(
        default=None,
        description="URL at which this process reaches the issuer, if not at its public URL, as in container networks.",
    )
    allowed_origins: TextList = Field(
        default=(),
        description="Browser origins that may call this service, separated by commas. Its own origin and, for a"
        " loopback resource, every loopback origin are always allowed.",
    )
    allowed_hosts: TextList = Field(
        default=(),
        description="Additional values of the Host header, separated by commas: a name, which allows every port, or"
        " name:port. Needed behind an API gateway, and for clients in containers (host.docker.internal).",
    )
    requests_per_minute: int = Field(
        default=6000, ge=1, description="Maximum number of requests of one caller (issuer and subject) in a minute."
    )
    status_outage_seconds: int = Field(
        default=900,
        ge=60,
        le=3600,
        description="How long tokens are accepted by the last status list while the issuer cannot be reached, in"
        " seconds. `mcp.decrypt` and `mcp.audit` are refused after three times the `ttl` of the list"
        " (AUTH_STATUS_LIST_TTL_SECONDS).",
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

    @field_validator("resource")
    @classmethod
    def _check_path(cls, resource: str) -> str:
        if not urlsplit(resource).path:
            raise ValueError("must have a path, such as /mcp")
        return resource

    @cached_property
    def origin(self) -> str:
        """Scheme, host and port of the resource: the base of every URL that the service publishes about itself."""
        parts = urlsplit(self.resource)
        return f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def mcp_path(self) -> str:
        """The path of the resource on this server."""
        return urlsplit(self.resource).path

    @property
    def is_local(self) -> bool:
        """Whether this service and the issuer are both on this machine."""
        return is_loopback_url(self.resource) and is_loopback_url(self.issuer)
