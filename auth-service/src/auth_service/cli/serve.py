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
    """Serve until SIGTERM or SIGINT; requests under way get ten seconds to end.

    Settings come from AUTH_ and SECURITY_ variables, see docs/configuration.md.

    For example: AUTH_DEMO=true auth-service serve
    """
    settings = AuthSettings()
    configure_logs(settings, service=SERVICE)
    _tell(settings)
    app = create_app(settings)
    serve_application(app, settings, on_drain=app.state.readiness.start_draining)


def _tell(settings: AuthSettings) -> None:
    """Notices that whoever starts the service should see."""
    log = logging.getLogger("auth_service")
    for notice in unknown_setting_notices([AuthSettings], os.environ):
        log.warning(notice)
    if settings.demo:
        log.warning(
            "NOTICE: demo mode: the client mcp-client/secret is open to everyone who reaches %s", settings.issuer
        )
    if "JWT_SECRET_KEY" in os.environ:
        log.warning(
            "NOTICE: JWT_SECRET_KEY is not read: tokens are signed with RS256, whose keys are made and rotated by the "
            "service and encrypted with AUTH_SIGNING_KEY_KEK_FILE"
        )
