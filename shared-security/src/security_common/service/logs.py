"""Logs of the service and its libraries on stderr: one JSON object per line, or readable lines on a terminal."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from security_common.edge import current_request
from security_common.service.settings import ServiceSettings

__all__ = ["configure_logs"]

# These libraries log arguments, headers or bodies at debug level, and thereby personal data and tokens.
_NO_DEBUG_LOGS = ("fastmcp", "mcp", "httpx2", "httpcore2", "authlib", "asyncio")
_MAX_VALUE_CHARACTERS = 16_000
"""Enough for a traceback. A longer value contains data of a client."""
_UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access")


def configure_logs(settings: ServiceSettings, *, service: str, worker: int | None = None) -> None:
    """Sends the records of structlog and of the standard library through one formatter, for the whole process.

    `worker` is the number of this process, if the service has several (`workers`).
    """
    origin = {"service": service} if worker is None else {"service": service, "worker": worker}

    def name_service(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.update(origin)
        return event

    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_service,
        _add_trace_id,
    ]
    # Tracebacks without the values of local variables, which can be tokens and secrets.
    renderers: list[structlog.typing.Processor] = (
        [_cut_long_values, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [
            structlog.processors.format_exc_info,
            _cut_long_values,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    for name in (*_NO_DEBUG_LOGS, *_UVICORN):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _NO_DEBUG_LOGS:
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLogger().level))
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _cut_long_values(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Bounds the size of a line: a client must not be able to fill the disk with few requests."""
    for name, value in event.items():
        if isinstance(value, str) and len(value) > _MAX_VALUE_CHARACTERS:
            event[name] = f"{value[:_MAX_VALUE_CHARACTERS]}…"
    return event


def _add_trace_id(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Adds the trace id to every line that is logged during a request."""
    request = current_request.get()
    if request is not None:
        event.setdefault("trace_id", request.trace_id)
    return event
