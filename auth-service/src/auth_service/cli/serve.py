"""`auth-service serve`: the service in the foreground."""

import logging
import os
from collections.abc import Callable
from typing import Any

from auth_service.settings import SERVICE, AuthSettings
from security_common.service import run_service

__all__ = ["serve"]


def serve() -> None:
    """Serves until SIGTERM or SIGINT; the help text is in `cli.commands`."""
    run_service(AuthSettings, service=SERVICE, load=_load, check=_log_notices)


def _load() -> Callable[[AuthSettings], Any]:
    from auth_service.app import create_app  # noqa: PLC0415 - a supervisor does not need it

    return create_app


def _log_notices(settings: AuthSettings) -> None:
    """Logs what the person who starts the service should know."""
    log = logging.getLogger("auth_service")
    if settings.demo:
        log.warning(
            "NOTICE: demo mode: everyone who can reach %s can use the client mcp-client/secret", settings.issuer
        )
    if "JWT_SECRET_KEY" in os.environ:
        log.warning(
            "NOTICE: JWT_SECRET_KEY is not read: the service signs tokens with RS256, creates and rotates the keys "
            "itself, and encrypts them with AUTH_SIGNING_KEY_KEK_FILE"
        )
