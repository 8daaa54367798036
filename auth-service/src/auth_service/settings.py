"""Settings of auth-service, with the prefix AUTH_. Every secret comes from a file; none has a default."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from security_common.secret_files import SecretFile, SecretKeyFile
from security_common.service import ServiceSettings, TextList, check_public_url
from security_common.service.operator_contact import parse_contact
from security_common.web_urls import is_loopback_url

__all__ = ["SERVICE", "AuthSettings"]

# The name of the service in logs and in the audit trail.
SERVICE = "auth-service"


class AuthSettings(ServiceSettings):
    """Read from the environment at start. The descriptions are in docs/configuration.md."""

    model_config = SettingsConfigDict(env_prefix="AUTH_", frozen=True)
    issuer: str = Field(
        default="http://localhost:8081",
        description="The issuer: the public base URL, exactly as it is in tokens and metadata, without a slash at the"
        " end. It must be https, except on loopback.",
    )
    resource: str = Field(
        default="http://localhost:8082/mcp",
        description="The protected resource that tokens are for, if AUTH_CONFIG declares none.",
    )
    port: int = Field(default=8081, ge=0, le=65535, description="Port to listen on.")
    operator_contact: str = Field(
        default="",
        description="Email address or https URL at which users reach the operator. The pages for users link to it.",
    )
    demo: bool = Field(
        default=False,
        description="Adds the client mcp-client/secret and the user demo/demo. Refused unless issuer and resource are"
        " loopback.",
    )
    config: Path | None = Field(
        default=None,
        description="The declaration (auth.yaml): resources, clients, identity providers (docs/company-sign-in.md),"
        " workloads (docs/workloads.md) and the registration policy.",
    )
    signing_key_kek_file: SecretFile = Field(
        default=None, description="Keyring file that encrypts the private signing keys in Redis."
    )
    secret_pepper_file: SecretKeyFile = Field(
        default=None, description="File with the key of the HMAC for client secrets and refresh tokens."
    )
    cookie_key_file: SecretKeyFile = Field(
        default=None,
        description="File with the key of CSRF tokens, and of responses that are stored for a repeated form.",
    )
    audit_page_public_key_file: Path | None = Field(
        default=None, description="Public JWK of the audit page, a client that uses private_key_jwt."
    )
    gateway_resources: TextList = Field(
        default=(),
        description="In demo mode: the addresses of gateway-service, separated by commas. Each becomes a resource with"
        " the scopes of the default one, and the client `gateway` may exchange tokens for them. Elsewhere AUTH_CONFIG"
        " declares them.",
    )
    gateway_public_key_file: Path | None = Field(
        default=None, description="In demo mode: public JWK of the client `gateway`, which uses private_key_jwt."
    )
    access_token_lifetime_seconds: int = Field(
        default=1800, ge=60, le=86400, description="How long an access token is valid, in seconds."
    )
    status_list_ttl_seconds: int = Field(
        default=15,
        ge=1,
        le=300,
        description="How long a resource server may use a status list before it fetches it again, in seconds: a revoked"
        " access token is refused everywhere after this time and one second.",
    )
    code_lifetime_seconds: int = Field(
        default=60, ge=1, le=600, description="How long an authorization code is valid, in seconds."
    )
    session_lifetime_seconds: int = Field(
        default=12 * 3600, ge=60, description="How long a user stays signed in, in seconds."
    )
    refresh_idle_lifetime_seconds: int = Field(
        default=14 * 86400, ge=60, description="A refresh token expires if it is not used for this long, in seconds."
    )
    refresh_absolute_lifetime_seconds: int = Field(
        default=90 * 86400,
        ge=60,
        description="How long refresh tokens can be renewed until the user has to sign in again, in seconds.",
    )
    refresh_grace_seconds: int = Field(
        default=30,
        ge=1,
        le=300,
        description="How long a rotated refresh token gets the same response again, in seconds.",
    )
    registrations_per_hour: int | None = Field(
        default=None,
        ge=1,
        description="How many clients may register (RFC 7591) from one address in an hour. Some clients register at"
        " every start. If unset: 1000 on a loopback issuer, else 60.",
    )
    authorizations_per_address: int = Field(
        default=600,
        ge=1,
        description="How many authorization requests from one address may wait for a user within 15 minutes.",
    )
    sign_in_failures_per_name: int = Field(
        default=5,
        ge=1,
        description="How many wrong passwords for one username from one address are allowed without a waiting time,"
        " within 15 minutes.",
    )
    sign_in_failures_per_address: int = Field(
        default=50,
        ge=1,
        description="How many wrong passwords from one address are allowed without a waiting time, within 15 minutes."
        " Raise it if many users share an address.",
    )
    key_period_seconds: int = Field(
        default=30 * 86400, ge=1, description="How long a signing key stays active at least, in seconds."
    )
    key_lead_seconds: int = Field(
        default=65 * 60,
        ge=1,
        description="The shortest time that a signing key is published before it replaces the active one, in seconds."
        " Azure API Management caches keys for an hour. At the first start and after a revocation a key signs at once.",
    )

    @field_validator("operator_contact")
    @classmethod
    def _check_operator_contact(cls, contact: str) -> str:
        return parse_contact(contact)

    @field_validator("issuer")
    @classmethod
    def _check_issuer(cls, issuer: str) -> str:
        if urlsplit(check_public_url(issuer)).path:
            raise ValueError("must have no path, because some clients look for the metadata at the root only")
        return issuer

    @property
    def status_lifetime_seconds(self) -> int:
        """How long access tokens of one authorization can be valid, and so its index in a status list is needed."""
        return self.refresh_absolute_lifetime_seconds + self.access_token_lifetime_seconds

    @property
    def registration_limit(self) -> int:
        """How many clients may register from one address in an hour."""
        return self.registrations_per_hour or (1000 if is_loopback_url(self.issuer) else 60)

    @model_validator(mode="after")
    def _check_demo(self) -> Self:
        addresses = (self.issuer, self.resource, *self.gateway_resources)
        if self.demo and not all(map(is_loopback_url, addresses)):
            raise ValueError(
                "AUTH_DEMO is refused unless AUTH_ISSUER, AUTH_RESOURCE and AUTH_GATEWAY_RESOURCES are loopback: its"
                " secret is public"
            )
        return self
