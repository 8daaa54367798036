"""Redis and both services on this machine: secrets, addresses, start in order, readiness, stop in reverse order."""

import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local_stack.errors import StackError
from local_stack.ports import LOOPBACK, StackPorts
from local_stack.processes import Child
from local_stack.redis_server import RedisServer
from security_common.cli.setup import make_secrets

__all__ = ["AUTH", "MCP", "REDIS", "Stack", "start_stack"]

REDIS, AUTH, MCP = "redis", "auth-service", "mcp-resource-service"

_READY_SECONDS = 30.0
_POLL_SECONDS = 0.05
# Everything is gone within five seconds: the services get most of it, Redis what it needs to close its file.
_STOP_SECONDS = {MCP: 1.8, AUTH: 1.8, REDIS: 1.0}


@dataclass(slots=True)
class Stack:
    """What runs, and where. `overrides` are settings on top of those that the stack derives."""

    ports: StackPorts
    state: Path
    overrides: Mapping[str, str] = field(default_factory=dict[str, str])
    demo: bool = True
    children: dict[str, Child] = field(default_factory=dict[str, Child])

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.ports.auth}"

    @property
    def auth_url(self) -> str:
        """Base address of auth-service, without a trailing slash."""
        return self.issuer

    @property
    def mcp_url(self) -> str:
        """Base address of the resource service, without a trailing slash."""
        return f"http://localhost:{self.ports.mcp}"

    @property
    def resource(self) -> str:
        """Address of the MCP endpoint, which is what tokens are for."""
        return f"{self.mcp_url}/mcp"

    @property
    def audit_dir(self) -> Path:
        return self.state / "audit"

    @property
    def secrets(self) -> Path:
        return self.state / "secrets"

    def redis_url(self, user: str) -> str:
        """Address for one ACL user (`auth`, `mcp`), without the password."""
        return f"redis://{user}@{LOOPBACK}:{self.ports.redis}/0"

    def redis_password(self, user: str) -> str:
        return (self.secrets / user / "redis_password").read_text(encoding="utf-8").strip()

    def start(self, *names: str) -> None:
        """Starts those named, by default all, and returns when they are ready.

        Raises `StackError`, with nothing left running.
        """
        names = names or (REDIS, AUTH, MCP)
        self.ports.check()
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
        """Starts one server, also again after `kill`. Redis is ready when this returns."""
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
        """What a service runs with; its other commands (`auth-service client create`) need the same."""
        settings = self._auth_settings() if name == AUTH else self._mcp_settings()
        return {**_inherited(), **settings, **self.overrides}

    def wait_until_ready(self, name: str) -> None:
        """Polls /readyz. Raises `StackError` when the service ends or is not ready in time."""
        if name == REDIS:
            return  # it answered before `start_one` did
        child = self.children[name]
        url = f"{self.auth_url if name == AUTH else self.mcp_url}/readyz"
        deadline = time.monotonic() + _READY_SECONDS
        while not _is_ready(url):
            if child.exit_status() is not None:
                raise StackError(f"{name} ended at start", hint=f"its last words ({child.log}):\n{child.last_words()}")
            if time.monotonic() > deadline:
                raise StackError(f"{name} is not ready after {_READY_SECONDS:.0f} s", hint=f"see {child.log}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stops what runs, in reverse order."""
        for name in (MCP, AUTH, REDIS):
            if name in self.children:
                self.children.pop(name).stop(_STOP_SECONDS[name])

    def kill(self, name: str) -> None:
        """SIGKILL to one server, as a crash would be."""
        self.children.pop(name).kill()

    def _auth_settings(self) -> dict[str, str]:
        own = self.secrets / "auth"
        return {
            "AUTH_ISSUER": self.issuer,
            "AUTH_RESOURCE": self.resource,
            "AUTH_HOST": LOOPBACK,
            "AUTH_PORT": str(self.ports.auth),
            "AUTH_REDIS_URL": self.redis_url("auth"),
            "AUTH_REDIS_PASSWORD_FILE": str(own / "redis_password"),
            "AUTH_DEMO": _switch(self.demo),
            "AUTH_SIGNING_KEY_KEK_FILE": str(own / "signing_key_kek"),
            "AUTH_SECRET_PEPPER_FILE": str(own / "secret_pepper"),
            "AUTH_COOKIE_KEY_FILE": str(own / "cookie_key"),
            "AUTH_AUDIT_PAGE_PUBLIC_KEY_FILE": str(own / "audit_page_public_key.json"),
            **self._audit_settings(own),
        }

    def _mcp_settings(self) -> dict[str, str]:
        own = self.secrets / "mcp"
        return {
            "MCP_RESOURCE": self.resource,
            "MCP_HOST": LOOPBACK,
            "MCP_PORT": str(self.ports.mcp),
            "MCP_ISSUER": self.issuer,
            "MCP_REDIS_URL": self.redis_url("mcp"),
            "MCP_REDIS_PASSWORD_FILE": str(own / "redis_password"),
            "MCP_DEMO": _switch(self.demo),
            "MCP_COOKIE_KEY_FILE": str(own / "cookie_key"),
            "MCP_AUDIT_PAGE_PRIVATE_KEY_FILE": str(own / "audit_page_private_key.json"),
            "SECURITY_ENCRYPTION_KEY_FILE": str(own / "data_keyring"),
            "SECURITY_PSEUDONYM_KEY_FILE": str(own / "pseudonym_key"),
            **self._audit_settings(own),
        }

    def _audit_settings(self, own: Path) -> dict[str, str]:
        return {
            "SECURITY_AUDIT_DIR": str(self.audit_dir),
            "SECURITY_AUDIT_CHAIN_KEY_FILE": str(own / "audit_chain_key"),
            "SECURITY_AUDIT_CHECKPOINT_KEY_FILE": str(own / "audit_checkpoint_key.pem"),
        }


@contextmanager
def start_stack(
    state: Path, *, ports: StackPorts | None = None, overrides: Mapping[str, str] | None = None, demo: bool = True
) -> Generator[Stack]:
    """A whole stack for the length of a `with` block, by default on ports that are free."""
    stack = Stack(ports or StackPorts.ephemeral(), state, overrides or {}, demo)
    with ExitStack() as cleanup:
        stack.start()
        cleanup.callback(stack.stop)
        yield stack


def _switch(on: bool) -> str:
    return "true" if on else "false"


def _inherited() -> dict[str, str]:
    """The environment without settings of another stack: only what the operator set for all of them stays."""
    ours = ("AUTH_", "MCP_", "SECURITY_")
    levels = ("AUTH_LOG_LEVEL", "MCP_LOG_LEVEL")
    kept = ("AUTH_CONFIG", "AUTH_TRUSTED_PROXIES", "MCP_TRUSTED_PROXIES", "SECURITY_TIME_ZONE", *levels)
    return {name: value for name, value in os.environ.items() if not name.startswith(ours) or name in kept}


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback address
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
