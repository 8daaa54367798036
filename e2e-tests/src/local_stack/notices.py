"""What whoever starts the stack should know about the environment it was started with."""

from collections.abc import Iterator, Mapping

from local_stack.given_settings import SETTINGS_CLASSES
from local_stack.stack import Stack
from security_common.addresses import is_loopback_host
from security_common.setting_names import unknown_setting_notices

__all__ = ["start_notices"]

# Read by deploy/compose.declared.yaml.
_COMPOSE_VARIABLES = ("AUTH_CONFIG_DIR",)


def start_notices(stack: Stack, environment: Mapping[str, str]) -> Iterator[str]:
    """One line each, beginning with NOTICE."""
    if "JWT_SECRET_KEY" in environment:
        yield "NOTICE: JWT_SECRET_KEY is not read: tokens are signed with RS256, by keys that auth-service makes"
    exposed = [host for host in (stack.auth_host, stack.mcp_host) if not is_loopback_host(host)]
    if stack.in_demo_mode and exposed:
        yield (
            f"NOTICE: demo mode, with its published client secret and password, is open to every machine that reaches "
            f"{exposed[0]}; AUTH_DEMO=false and AUTH_CONFIG declare clients of your own"
        )
    yield from unknown_setting_notices(SETTINGS_CLASSES, environment, allowed=_COMPOSE_VARIABLES)
