"""The settings that every service has. Each service adds its own settings and the prefix."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from security_common.secret_files import SecretFile
from security_common.service.available_cores import available_cores
from security_common.settings import SecuritySettings, Settings
from security_common.web_urls import is_loopback_url, parse_web_url

__all__ = ["ServiceSettings", "TextList", "check_exact_url", "check_https", "check_public_url", "check_web_url"]


def _split_list(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


TextList = Annotated[tuple[str, ...], BeforeValidator(_split_list), NoDecode]
"""A setting that is a list of texts, separated by commas in the environment."""


def check_web_url(url: str) -> str:
    """Returns the URL if it is absolute. Raises ValueError otherwise."""
    problem = "must be an absolute http(s) URL without query and fragment"
    if "?" in url or "#" in url:
        raise ValueError(problem)
    try:
        parse_web_url(url)
    except ValueError as error:
        raise ValueError(f"{problem}: {error}") from error
    return url


def check_https(url: str) -> str:
    """Returns the URL if it is https, or http on this machine. Raises ValueError otherwise."""
    if parse_web_url(check_web_url(url)).scheme == "http" and not is_loopback_url(url):
        raise ValueError("must be https, except on this machine (loopback)")
    return url


def check_exact_url(url: str) -> str:
    """Returns the URL if it has no slash at the end. Raises ValueError otherwise."""
    if check_web_url(url).endswith("/"):
        raise ValueError("must not end in a slash: clients compare it byte for byte")
    return url


def check_public_url(url: str) -> str:
    """Returns the URL if clients may use it (RFC 8414 section 2). Raises ValueError otherwise."""
    return check_https(check_exact_url(url))


class ServiceSettings(Settings):
    """Read from the environment at start. `security` contains the settings of the library (SECURITY_)."""

    model_config = SettingsConfigDict(frozen=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=0, ge=0, le=65535, description="Port to listen on.")
    metrics_host: str = Field(default="127.0.0.1", description="Address the Prometheus metrics are served on.")
    metrics_port: int = Field(default=0, ge=0, le=65535, description="Port of the Prometheus metrics; 0 is off.")
    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="URL of Redis with the user name, but never the password: redis://auth@redis:6379/0, rediss://…"
        " with TLS, or redis+sentinel://auth@sentinel-1:26379,sentinel-2:26379/service/0 (with TLS rediss+sentinel://…).",
    )
    redis_password_file: SecretFile = Field(default=None, description="File with the password of the Redis user.")
    redis_ca_file: Path | None = Field(
        default=None, description="File with the certificates that Redis's certificate is checked with, for rediss://."
    )
    redis_client_certificate_file: Path | None = Field(
        default=None, description="File with the client certificate for a Redis that asks for one."
    )
    redis_client_key_file: SecretFile = Field(
        default=None, description="File with the private key of the client certificate."
    )
    redis_sentinel_password_file: SecretFile = Field(
        default=None, description="File with the password of the Sentinels, if they have one."
    )
    redis_durability: Literal["replica", "disk", "memory"] = Field(
        default="disk",
        description="What Redis must guarantee. disk: every write is on its disk before it is confirmed (appendonly"
        " yes, appendfsync always, WAITAOF). replica: it is also on the disk of a replica, so that the loss of the"
        " primary loses no confirmed write (WAITAOF 1 1). memory: for a managed Redis that cannot guarantee this: a"
        " crash can lose the latest writes (docs/reliability.md).",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks of the proxies whose X-Forwarded-For is trusted, separated by commas.",
    )
    connections_per_address: int = Field(
        default=500,
        ge=0,
        description="How many connections one client address (an IPv6 network of 64 bits) may have at once, at each of"
        " the service's processes. 0 means no limit. Trusted proxies are not limited.",
    )
    documentation_url: str = Field(
        default="https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization",
        description="The documentation that `/` and the metadata link to.",
    )
    api_docs: bool | None = Field(
        default=None, description="Whether /docs shows the documentation of the HTTP API. If unset: in demo mode only."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="json, console, or auto: console on a terminal, JSON elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged."
    )
    workers: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = Field(
        default=1,
        description="How many processes answer requests on this port (docs/reliability.md). auto: one for each core"
        " that the service may use.",
    )
    drain_seconds: float = Field(
        default=0.0,
        ge=0,
        le=60,
        description="How long requests are still answered after SIGTERM, in seconds. /readyz answers 503 meanwhile, so"
        " that load balancers send no more requests, and every response closes its connection.",
    )
    security: SecuritySettings = Field(
        default_factory=SecuritySettings, description="Settings of the library, read from SECURITY_ variables."
    )

    @property
    def worker_count(self) -> int:
        """How many processes answer requests."""
        return available_cores() if self.workers == "auto" else self.workers

    def shows_api_docs(self, *, demo: bool) -> bool:
        """Whether `/docs` is served; `demo` is whether the service runs in demo mode."""
        return demo if self.api_docs is None else self.api_docs

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip())
        return value
