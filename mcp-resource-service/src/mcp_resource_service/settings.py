"""Settings of the resource service, prefix MCP_. Every secret comes from a file; none has a default."""

from functools import cached_property
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, InstanceOf, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from security_common.secret_files import SecretFile
from security_common.service import (
    ServiceSettings,
    check_exact_url,
    check_public_url,
    is_loopback_url,
    read_trusted_issuers,
)
from security_common.settings import SettingProblem
from security_common.tokens import TrustedIssuer

__all__ = ["SERVICE", "ResourceSettings"]

# The service's name in the audit trail.
SERVICE = "mcp-resource-service"

ExactUrl = Annotated[str, AfterValidator(check_exact_url)]
PublicUrl = Annotated[str, AfterValidator(check_public_url)]


class ResourceSettings(ServiceSettings):
    """Read from the environment at start."""

    model_config = SettingsConfigDict(env_prefix="MCP_", frozen=True)
    resource: PublicUrl = Field(
        default="http://localhost:8082/mcp",
        description="Public URL of the MCP endpoint, which a token must name in `aud`. With a path, no trailing slash.",
    )
    port: int = Field(default=8082, ge=0, le=65535, description="Port to listen on.")
    issuer: PublicUrl = Field(
        default="http://localhost:8081",
        description="The issuer whose tokens are accepted, exactly as it writes itself.",
    )
    auth_internal_url: ExactUrl | None = Field(
        default=None,
        description="Where this process reaches the issuer when that is not its public URL, as in container networks.",
    )
    trusted_issuers: Annotated[tuple[InstanceOf[TrustedIssuer], ...], NoDecode] = Field(
        default=(),
        description="More issuers whose tokens are accepted, as JSON or the path of a JSON or YAML file: a list of"
        " entries with `issuer`, `audience` and, for Entra ID, Auth0, Okta, Keycloak, Cognito or Google, `preset`."
        " docs/trusted-issuers.md describes every member.",
    )
    cookie_key_file: SecretFile = Field(
        default=None, description="File with the key that signs the audit page's cookies."
    )
    audit_page_private_key_file: SecretFile = Field(
        default=None,
        description="Private JWK the audit page signs in with (private_key_jwt). Without it there is no audit page.",
    )
    demo: bool = Field(
        default=False,
        description="Adds a synthetic directory and the tool create_test_token. Refused unless issuer and resource are"
        " this machine.",
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Browser origins that may call this service, besides its own and loopback, separated by commas.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Hosts that requests may name, besides the resource's own, separated by commas: a name for every"
        " port, or name:port. For a gateway in front, and for clients in containers (host.docker.internal).",
    )
    requests_per_minute: int = Field(
        default=6000, ge=1, description="How many requests one caller (issuer and subject) may make in a minute."
    )
    records_per_owner: int = Field(
        default=10_000, ge=1, description="How many records of up to 64 KiB one caller (issuer and subject) may keep."
    )

    @field_validator("allowed_origins", "allowed_hosts", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("trusted_issuers", mode="before")
    @classmethod
    def _read_trusted_issuers(cls, value: object) -> object:
        return read_trusted_issuers(value, setting="MCP_TRUSTED_ISSUERS")

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

    @model_validator(mode="after")
    def _check_trusted_issuers(self) -> Self:
        if any(each.issuer == self.issuer for each in self.trusted_issuers):
            raise SettingProblem(
                "MCP_TRUSTED_ISSUERS: MCP_ISSUER is trusted already",
                hint="leave its entry out: tokens of MCP_ISSUER are accepted for MCP_RESOURCE",
            )
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
