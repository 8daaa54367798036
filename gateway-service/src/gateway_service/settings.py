"""The settings of the gateway, with the prefix GATEWAY_. Secrets are read from files; none has a default."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from security_common.secret_files import SecretFile
from security_common.service.resource_server_settings import PublicUrl, ResourceServerSettings
from security_common.settings import SettingProblem
from security_common.tokens import TrustedIssuer

__all__ = ["ACCESS_SCOPE", "SERVICE", "GatewaySettings"]

# The name of this service in the audit trail.
SERVICE = "gateway-service"

ACCESS_SCOPE = "mcp.access"
"""The scope that every request to an MCP address needs."""


class GatewaySettings(ResourceServerSettings):
    """The settings, read from the environment at start."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True)
    upstreams: Path | None = Field(
        default=None,
        description="The file that declares the MCP servers behind the gateway: gateway.yaml, or a JSON file with"
        " `mcpServers` or `servers` (docs/gateway.md).",
    )
    lock: Path | None = Field(
        default=None,
        description="The file with the approved definitions. Default: `gateway.lock` in the folder of the file that"
        " GATEWAY_UPSTREAMS names. If it does not exist, nothing is pinned.",
    )
    lock_keys_file: Path | None = Field(
        default=None,
        description="A file with public keys (Ed25519, PEM). If it is set, `gateway.lock` must exist and be signed with"
        " one of them.",
    )
    resource: PublicUrl = Field(
        default="http://localhost:8083/mcp",
        description="Public URL of the address with all upstreams; each of them alone is at this URL, a slash and its"
        " name. Tokens are issued for one of these URLs. It has a path and no trailing slash.",
    )
    port: int = Field(default=8083, ge=0, le=65535, description="Port to listen on.")
    client_id: str = Field(
        default="gateway", description="The gateway's own client_id at its issuer, for tokens to upstreams."
    )
    client_secret_file: SecretFile = Field(default=None, description="File with the secret of this client.")
    client_key_file: SecretFile = Field(
        default=None, description="File with the private JWK of this client, in place of a secret (private_key_jwt)."
    )
    refresh_seconds: float = Field(
        default=300.0, ge=1, description="Seconds between two requests for the tool list of an upstream."
    )

    @model_validator(mode="after")
    def _check_workers(self) -> Self:
        has_key = self.security.encryption_key_file is not None or self.security.encryption_key is not None
        if self.worker_count > 1 and not has_key:
            raise SettingProblem(
                "several GATEWAY_WORKERS need a key: each of them opens what another one has sealed for a client",
                hint="set SECURITY_ENCRYPTION_KEY_FILE; `security-common setup` creates the file",
            )
        return self

    @property
    def lock_file(self) -> Path:
        """The file with the approved definitions, which need not exist."""
        return self.lock or (self.upstreams or Path()).with_name("gateway.lock")

    def path_of(self, upstream: str) -> str:
        """The path of the address of one upstream; for an empty name, of the address with all of them."""
        return f"{self.mcp_path}/{upstream}" if upstream else self.mcp_path

    def resource_of(self, upstream: str) -> str:
        """The URL of the address of one upstream; for an empty name, of the address with all of them."""
        return f"{self.resource}/{upstream}" if upstream else self.resource

    def trusted_issuer(self, upstreams: tuple[str, ...]) -> TrustedIssuer:
        """The issuer with the audiences of all addresses. The guard compares that of a token with its address."""
        audiences = tuple(map(self.resource_of, ("", *upstreams)))
        return TrustedIssuer(self.issuer, audiences, internal_url=self.auth_internal_url, setting="GATEWAY_ISSUER")
