"""Starts Redis and the services on this machine: secrets, addresses, readiness, start order and stop order."""

import os
import re
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from local_stack.addresses import LOOPBACK, base_url
from local_stack.errors import StackError
from local_stack.given_settings import without_settings
from local_stack.messages import localize
from local_stack.ports import StackPorts
from local_stack.processes import Child
from local_stack.readiness import fetch_readiness
from local_stack.redis_server import RedisServer
from security_common.cli.setup import make_secrets
from security_common.messages import is_korean
from security_common.secret_files import read_secret_file
from security_common.web_urls import is_loopback_url

__all__ = ["AUTH", "GATEWAY", "MCP", "REDIS", "SECRETS", "Stack", "start_stack"]

REDIS, AUTH, MCP, GATEWAY = "redis", "auth-service", "mcp-resource-service", "gateway-service"
SECRETS = "secrets"
"""Folder of the secrets, below the state folder."""

_READY_SECONDS = 120.0
# After this time the reasons why a service is not ready are printed, so that the user can correct them.
_QUIET_SECONDS = 5.0
_POLL_SECONDS = 0.05
# In the order in which they stop. Without the gateway less than five seconds: most of it for the services, and what
# Redis needs to close its file.
_STOP_SECONDS = {GATEWAY: 1.8, MCP: 1.8, AUTH: 1.8, REDIS: 1.0}
# The prefix of the settings of each Redis user. In lower case it is the folder of its secrets.
_PREFIXES = {"auth": "AUTH", "mcp": "MCP", "gw": "GATEWAY"}


@dataclass(slots=True)
class Stack:
    """The servers of one stack. `overrides` are settings that take precedence over those that the stack derives.

    With GATEWAY_UPSTREAMS among them, the stack has a gateway.
    `demo` is the value of AUTH_DEMO if the overrides do not contain it and all addresses are on this machine.
    """

    ports: StackPorts
    state: Path
    overrides: Mapping[str, str] = field(default_factory=dict[str, str])
    demo: bool = True
    children: dict[str, Child] = field(default_factory=dict[str, Child])

    @property
    def auth_host(self) -> str:
        """The address that auth-service listens on."""
        return self.overrides.get("AUTH_HOST", LOOPBACK)

    @property
    def mcp_host(self) -> str:
        """The address that the resource service listens on."""
        return self.overrides.get("MCP_HOST", LOOPBACK)

    @property
    def has_gateway(self) -> bool:
        """Whether the gateway is one of the servers."""
        return "GATEWAY_UPSTREAMS" in self.overrides

    @property
    def gateway_host(self) -> str:
        """The address that the gateway listens on."""
        return self.overrides.get("GATEWAY_HOST", LOOPBACK)

    @property
    def gateway_url(self) -> str:
        """The URL of the gateway on this machine, without a trailing slash."""
        return base_url(self.gateway_host, self.ports.gateway)

    @property
    def gateway_resource(self) -> str:
        """The public URL of the gateway's address with all upstreams."""
        return self.overrides.get("GATEWAY_RESOURCE", f"http://localhost:{self.ports.gateway}/mcp")

    @property
    def auth_url(self) -> str:
        """The URL of auth-service on this machine, without a trailing slash."""
        return base_url(self.auth_host, self.ports.auth)

    @property
    def mcp_url(self) -> str:
        """The URL of the resource service on this machine, without a trailing slash."""
        return base_url(self.mcp_host, self.ports.mcp)

    @property
    def issuer(self) -> str:
        """The public URL of auth-service, as it appears in tokens."""
        return self.overrides.get("AUTH_ISSUER", f"http://localhost:{self.ports.auth}")

    @property
    def resource(self) -> str:
        """The public URL of the MCP endpoint, which is the audience of tokens."""
        return self.overrides.get("MCP_RESOURCE", f"http://localhost:{self.ports.mcp}/mcp")

    @property
    def audit_page(self) -> str:
        """The public URL of the audit page."""
        parts = urlsplit(self.resource)
        return f"{parts.scheme}://{parts.netloc}/audit"

    @property
    def in_demo_mode(self) -> bool:
        """Whether auth-service has the demo client and user."""
        return TypeAdapter(bool).validate_python(self.settings(AUTH)["AUTH_DEMO"])

    @property
    def audit_dir(self) -> Path:
        return Path(self.overrides.get("SECURITY_AUDIT_DIR", self.state / "audit"))

    @property
    def secrets(self) -> Path:
        return self.state / SECRETS

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers in the order in which they start. The embedded Redis is included only if a service uses it."""
        services = (AUTH, MCP, GATEWAY) if self.has_gateway else (AUTH, MCP)
        users = _PREFIXES if self.has_gateway else ("auth", "mcp")
        has_other_redis = all(self._uses_other_redis(user) for user in users)
        return services if has_other_redis else (REDIS, *services)

    def redis_url(self, user: str) -> str:
        """The URL for one ACL user (`auth`, `mcp`, `gw`), without the password."""
        return f"redis://{user}@{LOOPBACK}:{self.ports.redis}/0"

    def redis_password(self, user: str) -> str:
        return read_secret_file(self._redis_password_file(user))

    def _redis_password_file(self, user: str) -> Path:
        return self.secrets / _PREFIXES[user].lower() / "redis_password"

    def start(self, *names: str) -> None:
        """Starts the named servers, by default all, and returns when they are ready.

        Raises `StackError`; no server is left running then.
        """
        names = names or self.servers
        gateway_host = self.gateway_host if self.has_gateway else None
        self.ports.check(self.auth_host, self.mcp_host, gateway_host=gateway_host)
        make_secrets(self.secrets)
        try:
            for name in names:
                self.start_one(name)
            for name in names:
                self.wait_until_ready(name)
        except BaseException:
            self.stop()
            raise

    def start_one(self, name: str) -> None:
        """Starts one server; also starts it again after `kill`. Redis is ready when this returns."""
        if name == REDIS:
            server = RedisServer(self.state / REDIS, self.ports.redis, self.secrets / REDIS / "users.acl")
            self.children[name] = server.start()
            return
        self.children[name] = Child(
            name,
            [str(Path(sys.executable).with_name(name)), "serve"],
            environment=self.environment(name),
            log=self.state / "logs" / f"{name}.log",
        )

    def environment(self, name: str) -> dict[str, str]:
        """The environment of a service. Its other commands (`auth-service client create`) need the same."""
        variables = self.upstream_variables if name == GATEWAY else {}
        return {**variables, **without_settings(os.environ), **self.settings(name)}

    @property
    def upstream_variables(self) -> dict[str, str]:
        """The variables of deploy/gateway/mcp.json: where the resource service is, and what its tokens are for.

        Values from the environment of this process take precedence.
        """
        derived = {"RECORDS_URL": f"{self.mcp_url}{urlsplit(self.resource).path}", "RECORDS_RESOURCE": self.resource}
        return {name: os.environ.get(name, value) for name, value in derived.items()}

    def settings(self, name: str) -> dict[str, str]:
        """The settings of one service: those derived from ports and folders, replaced by the overrides."""
        derived = {AUTH: self._auth_settings, MCP: self._mcp_settings, GATEWAY: self._gateway_settings}[name]()
        return {**derived, **self.overrides}

    def url_of(self, name: str) -> str:
        """The URL of a service on this machine, without a trailing slash."""
        return {AUTH: self.auth_url, MCP: self.mcp_url, GATEWAY: self.gateway_url}[name]

    def wait_until_ready(self, name: str) -> None:
        """Polls /readyz. Raises `StackError` if the service ends or is not ready in time.

        The reasons why it is not ready are printed while there is still time to correct them.
        """
        if name == REDIS:
            return  # `start_one` returns only after Redis has answered
        child = self.children[name]
        url = f"{self.url_of(name)}/readyz"
        started = time.monotonic()
        printed = ""
        while True:
            readiness = fetch_readiness(url)
            if readiness.is_ready:
                return
            waited_seconds = time.monotonic() - started
            if child.exit_status() is not None:
                raise _start_failure(child)
            if waited_seconds > _READY_SECONDS:
                problem = f"{name} is not ready after {_READY_SECONDS:.0f} s"
                if readiness.notes:
                    problem = f"{name} is not ready after {_READY_SECONDS:.0f} s: {readiness.notes}"
                raise StackError(problem, hint=f"see {child.log}")
            if waited_seconds > _QUIET_SECONDS and readiness.notes != printed:
                printed = readiness.notes
                print(localize(f"waiting for {name}: {printed}"), file=sys.stderr, flush=True)
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stops all running servers in reverse order."""
        for name, seconds in _STOP_SECONDS.items():
            if name in self.children:
                self.children.pop(name).stop(seconds)

    def kill(self, name: str) -> None:
        """Sends SIGKILL to one server, which simulates a crash."""
        self.children.pop(name).kill()

    def _auth_settings(self) -> dict[str, str]:
        own = self.secrets / "auth"
        settings = {
            "AUTH_ISSUER": self.issuer,
            "AUTH_RESOURCE": self.resource,
            "AUTH_HOST": self.auth_host,
            "AUTH_PORT": str(self.ports.auth),
            "AUTH_DEMO": self._demo_setting(),
            "AUTH_SIGNING_KEY_KEK_FILE": str(own / "signing_key_kek"),
            "AUTH_SECRET_PEPPER_FILE": str(own / "secret_pepper"),
            "AUTH_COOKIE_KEY_FILE": str(own / "cookie_key"),
            "AUTH_AUDIT_PAGE_PUBLIC_KEY_FILE": str(own / "audit_page_public_key.json"),
            **self._redis_settings("auth"),
            **self._audit_settings(own),
        }
        if self.has_gateway:
            settings["AUTH_GATEWAY_RESOURCES"] = ",".join(self._gateway_addresses())
            settings["AUTH_GATEWAY_PUBLIC_KEY_FILE"] = str(own / "gateway_public_key.json")
        return settings

    def _mcp_settings(self) -> dict[str, str]:
        own = self.secrets / "mcp"
        settings = {
            "MCP_RESOURCE": self.resource,
            "MCP_HOST": self.mcp_host,
            "MCP_PORT": str(self.ports.mcp),
            "MCP_ISSUER": self.issuer,
            "MCP_DEMO": self._demo_setting(),
            "MCP_COOKIE_KEY_FILE": str(own / "cookie_key"),
            "MCP_AUDIT_PAGE_PRIVATE_KEY_FILE": str(own / "audit_page_private_key.json"),
            "SECURITY_PSEUDONYM_KEY_FILE": str(own / "pseudonym_key"),
            **self._redis_settings("mcp"),
            **self._audit_settings(own),
        }
        if "SECURITY_ENCRYPTION_KEY" not in self.overrides:  # the file would take precedence
            settings["SECURITY_ENCRYPTION_KEY_FILE"] = str(own / "data_keyring")
        if "MCP_ISSUER" not in self.overrides and self.issuer != self.auth_url:
            settings["MCP_AUTH_INTERNAL_URL"] = self.auth_url
        return settings

    def _gateway_settings(self) -> dict[str, str]:
        own = self.secrets / "gateway"
        settings = {
            "GATEWAY_RESOURCE": self.gateway_resource,
            "GATEWAY_HOST": self.gateway_host,
            "GATEWAY_PORT": str(self.ports.gateway),
            "GATEWAY_ISSUER": self.issuer,
            "GATEWAY_CLIENT_KEY_FILE": str(own / "client_key.json"),
            "SECURITY_PSEUDONYM_KEY_FILE": str(own / "pseudonym_key"),
            **self._redis_settings("gw"),
            **self._audit_settings(own),
        }
        if "SECURITY_ENCRYPTION_KEY" not in self.overrides:  # the file would take precedence
            settings["SECURITY_ENCRYPTION_KEY_FILE"] = str(own / "data_keyring")
        if "GATEWAY_ISSUER" not in self.overrides and self.issuer != self.auth_url:
            settings["GATEWAY_AUTH_INTERNAL_URL"] = self.auth_url
        return settings

    def _gateway_addresses(self) -> list[str]:
        """The addresses of the gateway. Raises `SecurityError` if its declaration cannot be read."""
        # Only with a gateway: loading it would delay every other start.
        from gateway_service.declaration import load_declaration  # noqa: PLC0415

        declaration = load_declaration(Path(self.overrides["GATEWAY_UPSTREAMS"]), self.environment(GATEWAY))
        return [self.gateway_resource, *(f"{self.gateway_resource}/{name}" for name in declaration.names)]

    def _demo_setting(self) -> str:
        """The value for auth-service and the resource service.

        They refuse demo mode on an address that is not on this machine.
        """
        public = [self.issuer, self.resource, self.overrides.get("MCP_ISSUER", self.issuer)]
        if self.has_gateway:
            public.append(self.gateway_resource)
        is_local = all(is_loopback_url(url) for url in public)
        return self.overrides.get("AUTH_DEMO", "true" if self.demo and is_local else "false")

    def _redis_settings(self, user: str) -> dict[str, str]:
        """The settings for the embedded Redis; none if another Redis is given, whose password is not known here."""
        if self._uses_other_redis(user):
            return {}
        prefix = _PREFIXES[user]
        return {
            f"{prefix}_REDIS_URL": self.redis_url(user),
            f"{prefix}_REDIS_PASSWORD_FILE": str(self._redis_password_file(user)),
        }

    def _uses_other_redis(self, user: str) -> bool:
        own = self.redis_url(user)
        return self.overrides.get(f"{_PREFIXES[user]}_REDIS_URL", own) != own

    def _audit_settings(self, own: Path) -> dict[str, str]:
        # Under a Korean locale the audit page and the monthly review have Korean times, not UTC.
        time_zone = {"SECURITY_TIME_ZONE": "Asia/Seoul"} if is_korean(os.environ) else {}
        return {
            **time_zone,
            "SECURITY_AUDIT_DIR": str(self.audit_dir),
            "SECURITY_AUDIT_CHAIN_KEY_FILE": str(own / "audit_chain_key"),
            "SECURITY_AUDIT_CHECKPOINT_KEY_FILE": str(own / "audit_checkpoint_key.pem"),
        }


@contextmanager
def start_stack(
    state: Path, *, ports: StackPorts | None = None, overrides: Mapping[str, str] | None = None, demo: bool = True
) -> Generator[Stack]:
    """Runs a complete stack during a `with` block, by default on free ports."""
    stack = Stack(ports or StackPorts.ephemeral(), state, overrides or {}, demo)
    with ExitStack() as cleanup:
        stack.start()
        cleanup.callback(stack.stop)
        yield stack


def _start_failure(child: Child) -> StackError:
    """An error with the message that the service printed, or else with the last lines of its log."""
    output = child.last_output()
    named = re.search(r"^error: (.+)(?:\nhint: (.+))?", output, re.MULTILINE)
    if named is not None:
        return StackError(f"{child.name}: {named[1]}", hint=named[2] or f"see {child.log}")
    return StackError(f"{child.name} ended while it started", hint=f"the end of {child.log}:\n{output}")
