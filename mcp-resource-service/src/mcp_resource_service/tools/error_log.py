"""Log lines of failed tool calls with their cause and trace id, in the place of FastMCP's own lines."""

import logging
import sys

import structlog
from fastmcp.exceptions import PromptError, ResourceError, ToolError

from security_common.tokens.access_token import current_caller

__all__ = ["log_tool_errors"]

FASTMCP_LOGGER = "fastmcp.server.server"

log = structlog.get_logger("mcp_resource_service")


def log_tool_errors() -> None:
    """Replaces the warnings and errors of FastMCP's server, which name neither cause nor request.

    A logging filter and not a middleware, because a middleware would cost CPU time in every successful call.
    """
    logging.getLogger(FASTMCP_LOGGER).addFilter(_replace_record)


def _replace_record(record: logging.LogRecord) -> bool:
    if record.levelno < logging.WARNING:
        return True
    failure = sys.exc_info()[1]
    caller = current_caller.get()
    log.log(
        record.levelno,
        "tool_error",
        message=record.getMessage(),
        cause=_describe(failure),
        trace_id=caller.trace_id if caller else None,
        # FastMCP adds a traceback to unexpected errors only.
        exc_info=record.exc_info or None,
    )
    return False


def _describe(failure: BaseException | None) -> str | None:
    if isinstance(failure, (ToolError, ResourceError, PromptError)):
        # The text has passed the tool's policy: it is what the client receives. Others may quote the client's input.
        return str(failure)
    return type(failure).__name__ if failure else None
