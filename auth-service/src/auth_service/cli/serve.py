"""`auth-service serve`: the service in the foreground."""

import logging
import os

from auth_service.app import create_app
from auth_service.settings import SERVICE, AuthSettings
from security_common.service import configure_logs
from security_common.service import serve as serve_application
from security_common.setting_names import unknown_setting_notices

__all__ = ["serve"]


def serve() -> None:
    """Serves until SIGTERM or SIGINT; the help text is in `cli.commands`."""
    settings = AuthSettings()
    configure_logs(settings, service=SERVICE)
    _log_notices(settings)
    app = create_app(settings)
    serve_application(app, settings, on_drain=app.state.readiness.start_draining)


def _log_notices(settings: AuthSettings) -> None:
    """Logs what the person who starts the service should know."""
    log = logging.getLogger("auth_service")
    for notice in unknown_setting_notices([AuthSettings], os.environ):
        log.warning(notice)
    if settings.demo:
        log.warning(
            "NOTICE: demo mode: everyone who can reach %s can use the client mcp-client/secret", settings.issuer
        )
    if "JWT_SECRET_KEY" in os.environ:
        log.warning(
            "NOTICE: JWT_SECRET_KEY is not read: the service signs tokens with RS256, creates and rotates the keys "
            "itself, and encrypts them with AUTH_SIGNING_KEY_KEK_FILE"
        )
