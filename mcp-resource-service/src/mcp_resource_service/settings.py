"""The settings of the resource service, with the prefix MCP_. Secrets are read from files; none has a default."""

from typing import Annotated, Literal, Self

from pydantic import Field, InstanceOf, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from security_common.secret_files import SecretFile, SecretKeyFile
from security_common.service import read_trusted_issuers
from security_common.service.resource_server_settings import PublicUrl, ResourceServerSettings
from security_common.settings import SettingProblem
from security_common.tokens import TrustedIssuer

__all__ = ["SERVICE", "ResourceSettings"]

# The name of this service in the audit trail.
SERVICE = "mcp-resource-service"


class ResourceSettings(ResourceServerSettings):
    """The settings, read from the environment at start."""

    model_config = SettingsConfigDict(env_prefix="MCP_", frozen=True)
    resource: PublicUrl = Field(
        default="http://localhost:8082/mcp",
        description="Public URL of the MCP endpoint. The `aud` of every token must contain it. It has a path and no"
        " trailing slash.",
    )
    port: int = Field(default=8082, ge=0, le=65535, description="Port to listen on.")
    trusted_issuers: Annotated[tuple[InstanceOf[TrustedIssuer], ...], NoDecode] = Field(
        default=(),
        description="Additional issuers whose tokens are accepted, as JSON or the path of a JSON or YAML file: a list"
        " of entries with `issuer`, `audience` and, for Entra ID, Auth0, Okta, Keycloak, Cognito or Google, `preset`."
        " docs/trusted-issuers.md describes every member.",
    )
    cookie_key_file: SecretKeyFile = Field(
        default=None,
        description="File with the HMAC key under which session ids of the audit page are stored in Redis. Without it"
        " there is no audit page.",
    )
    audit_page_private_key_file: SecretFile = Field(
        default=None,
        description="File with the private JWK with which the audit page authenticates to the issuer (private_key_jwt)."
        " Without it there is no audit page.",
    )
    demo: bool = Field(
        default=False,
        description="Adds a synthetic directory and the tool create_test_token. Allowed only if issuer and resource are"
        " loopback addresses.",
    )
    directory_policy: Literal["mask", "tokenize"] = Field(
        default="mask",
        description="What get_user_info returns in place of personal data: masks, or placeholders such as"
        " `[PHONE_7KQ2MZ]` that other tools accept (docs/placeholders.md).",
    )
    records_per_owner: int = Field(
        default=10_000,
        ge=1,
        description="Maximum number of stored records, of up to 65,536 characters each, of one caller (issuer and"
        " subject).",
    )

    @field_validator("trusted_issuers", mode="before")
    @classmethod
    def _read_trusted_issuers(cls, value: object) -> object:
        return read_trusted_issuers(value, setting="MCP_TRUSTED_ISSUERS")

    @model_validator(mode="after")
    def _check_demo(self) -> Self:
        if self.demo and not self.is_local:
            raise ValueError(
                "MCP_DEMO adds create_test_token, which uses a published client secret,"
                " so MCP_ISSUER and MCP_RESOURCE must be loopback addresses"
            )
        return self

    @model_validator(mode="after")
    def _check_trusted_issuers(self) -> Self:
        if any(each.issuer == self.issuer for each in self.trusted_issuers):
            raise SettingProblem(
                "MCP_TRUSTED_ISSUERS contains MCP_ISSUER, which is always trusted",
                hint="remove its entry: tokens of MCP_ISSUER are accepted for MCP_RESOURCE",
            )
        return self

    @model_validator(mode="after")
    def _check_directory_policy(self) -> Self:
        if self.directory_policy == "tokenize" and self.security.pseudonym_key_file is None:
            raise SettingProblem(
                "MCP_DIRECTORY_POLICY=tokenize needs a key: placeholders are stored by keyed digests",
                hint="set SECURITY_PSEUDONYM_KEY_FILE; `security-common setup` creates the file",
            )
        return self
