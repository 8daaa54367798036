"""Checks the environment when the stack starts, and prints notices about it."""

from collections.abc import Iterator, Mapping

from local_stack.errors import StackError
from local_stack.given_settings import SETTINGS_CLASSES
from local_stack.stack import Stack
from security_common.setting_names import unknown_setting_notices
from security_common.web_urls import is_loopback_host

__all__ = ["check_exposure", "start_notices"]

# Set by Azure Container Apps and by Azure App Service in every container.
_PUBLIC_PLATFORMS = frozenset({"CONTAINER_APP_NAME", "WEBSITE_HOSTNAME"})
# Read by deploy/compose.declared.yaml.
_COMPOSE_VARIABLES = ("AUTH_CONFIG_DIR",)


def check_exposure(stack: Stack, environment: Mapping[str, str]) -> None:
    """Raises `StackError` in demo mode on a platform that exposes containers to the Internet."""
    if stack.in_demo_mode and not _PUBLIC_PLATFORMS.isdisjoint(environment):
        raise StackError(
            "demo mode has a published client secret and password, and this container is reachable from the Internet",
            hint="set AUTH_DEMO=false, and AUTH_ISSUER and MCP_RESOURCE to the public https addresses; "
            "docs/one-container.md describes it",
        )


def start_notices(stack: Stack, environment: Mapping[str, str]) -> Iterator[str]:
    """Yields the notices, one line each, beginning with NOTICE."""
    if "JWT_SECRET_KEY" in environment:
        yield "NOTICE: JWT_SECRET_KEY is not read: tokens are signed with RS256, with keys that auth-service creates"
    hosts = [stack.auth_host, stack.mcp_host, *([stack.gateway_host] if stack.has_gateway else [])]
    exposed = [host for host in hosts if not is_loopback_host(host)]
    if stack.in_demo_mode and exposed:
        yield (
            f"NOTICE: demo mode, with its published client secret and password, is open to machines that can reach "
            f"{exposed[0]}; set AUTH_DEMO=false and declare your own clients with AUTH_CONFIG"
        )
    yield from unknown_setting_notices(SETTINGS_CLASSES, environment, allowed=_COMPOSE_VARIABLES)
