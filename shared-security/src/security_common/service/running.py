"""Runs a service in the foreground: as one process, or as a supervisor with several workers."""

import logging
import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import structlog

from security_common.secret_files import find_exposed_secrets
from security_common.service.listening_socket import open_listener
from security_common.service.logs import configure_logs
from security_common.service.server import serve
from security_common.service.settings import ServiceSettings
from security_common.service.workers.supervisor import supervise_workers
from security_common.service.workers.worker import InheritedSockets, connected_to_supervisor
from security_common.setting_names import unknown_setting_notices

__all__ = ["run_service"]

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)

log = structlog.get_logger(__name__)


def run_service(
    settings_class: type[SettingsT],
    *,
    service: str,
    load: Callable[[], Callable[[SettingsT], Any]],
    check: Callable[[SettingsT], None] = lambda _: None,
) -> None:
    """Serves until SIGTERM or SIGINT. `service` is its name in the logs.

    `load` imports the application and returns its `create_app`: a supervisor does not call it, to save its memory. The
    application has `state.readiness` and `state.metrics_registry`. `check` raises `SecurityError` if the settings
    cannot work, and logs what the person who starts the service should know.

    Raises `PortTaken`, and the exception with which the start of the application failed.
    """
    settings = settings_class()
    inherited = InheritedSockets.take()
    if inherited is not None:
        create_app = load()
        configure_logs(settings, service=service, worker=inherited.number)  # after the imports: FastMCP sets a handler
        _serve_as_worker(create_app, settings, inherited)
        return
    create_app = load() if settings.worker_count == 1 else None
    configure_logs(settings, service=service)
    _log_notices(settings_class, settings, service=service)
    check(settings)
    if create_app is None:
        supervise_workers(settings, open_listener(settings))
        return
    app = create_app(settings)
    serve(app, settings, open_listener(settings), on_drain=app.state.readiness.start_draining)


def _serve_as_worker(create_app: Callable[[SettingsT], Any], settings: SettingsT, inherited: InheritedSockets) -> None:
    app = create_app(settings.model_copy(update={"metrics_port": 0}))  # the supervisor serves the metrics
    serve(
        app,
        settings,
        inherited.listener,
        on_drain=app.state.readiness.start_draining,
        while_serving=partial(
            connected_to_supervisor,
            channel_end=inherited.channel_end,
            readiness=app.state.readiness,
            registry=app.state.metrics_registry,
        ),
    )


def _log_notices(settings_class: type[ServiceSettings], settings: ServiceSettings, *, service: str) -> None:
    """Logs mistakes in the environment and in the permissions of secret files."""
    for notice in unknown_setting_notices([settings_class], os.environ):
        logging.getLogger(service.replace("-", "_")).warning(notice)
    for exposed in find_exposed_secrets(settings):
        log.warning("secret_file_exposed", problem=exposed, hint=exposed.hint)
