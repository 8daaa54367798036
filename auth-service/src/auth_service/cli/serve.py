"""`auth-service serve`: the service in the foreground."""

import gc
import logging
import os
import sys
from typing import Any

import uvicorn

from auth_service.app import create_app
from auth_service.http.logs import configure_logs
from auth_service.settings import AuthSettings

__all__ = ["serve"]

_GRACE_SECONDS = 10
_HEAD_LIMIT_BYTES = 16 * 1024


def serve() -> None:
    """Serve until SIGTERM or SIGINT; requests under way get ten seconds to end.

    Settings come from AUTH_ and SECURITY_ variables, see docs/configuration.md.

    For example: AUTH_DEMO=true auth-service serve
    """
    settings = AuthSettings()
    configure_logs(log_format=settings.log_format, level=settings.log_level)
    _tell(settings)
    server = _Server(
        uvicorn.Config(
            create_app(settings),
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
    server.run()
    if not server.started:
        sys.exit(3)


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        # What was loaded at start lives as long as the process: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()


def _tell(settings: AuthSettings) -> None:
    """Notices that whoever starts the service should see."""
    log = logging.getLogger("auth_service")
    if settings.demo:
        log.warning(
            "NOTICE: demo mode: the client mcp-client/secret is open to everyone who reaches %s", settings.issuer
        )
    if "JWT_SECRET_KEY" in os.environ:
        log.warning(
            "NOTICE: JWT_SECRET_KEY is not read: tokens are signed with RS256, whose keys are made and rotated by the "
            "service and encrypted with AUTH_SIGNING_KEY_KEK_FILE"
        )
