"""What the client, the audit trail and the log get for a call that fails.

The audit trail and the log get no personal data. The client gets what the policy for messages allows.
"""

import logging
import traceback
from collections.abc import Callable, Mapping
from functools import partial

import mcp_types as types
from fastmcp.exceptions import (
    DisabledError,
    FastMCPError,
    NotFoundError,
    PromptError,
    ResourceError,
    ToolError,
    ValidationError,
)
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError as PydanticValidationError

from security_common.audit import Action, AuditEvent, EventType, JournalUnavailable, Outcome, Reason
from security_common.errors import SecurityError, describe, describe_for_client
from security_common.fastmcp.unavailable import CallUnavailable
from security_common.tokens.access_token import current_caller
from security_common.tool_policy import (
    FrameworkRequest,
    PlaceholdersUnavailable,
    SearchQueueFull,
    current_framework_request,
    policy_dependencies,
)

__all__ = [
    "COMPONENT_METHODS",
    "CONVERTERS",
    "ERROR_TYPES",
    "NO_POLICY",
    "TEMPORARY_ERRORS",
    "install_log_filters",
    "log_failed_call",
    "record_rejected_call",
    "unavailable_call",
    "without_client_values",
]

ERROR_TYPES: Mapping[str, type[FastMCPError]] = {
    "tools/call": ToolError,
    "resources/read": ResourceError,
    "prompts/get": PromptError,
    "completion/complete": FastMCPError,
}
"""The error that FastMCP expects from each method that runs a component."""

COMPONENT_METHODS = frozenset(ERROR_TYPES)
"""The methods that run a component."""

TEMPORARY_ERRORS = frozenset({JournalUnavailable.error, PlaceholdersUnavailable.error, SearchQueueFull.error})
"""Codes of the errors that are answered with status 503: the same call can succeed a little later."""

NO_POLICY = "this component has no policy, so its result was withheld"

SERVER_LOGGER = "fastmcp.server.server"
LOGGERS_WITH_VALUES = ("fastmcp.server.mixins.mcp_operations", "fastmcp.server.context.to_client", SERVER_LOGGER)
"""FastMCP's loggers that may quote arguments, messages to clients and resource addresses."""

REPLACED_MESSAGES = ("Error calling ", "Error reading ", "Error rendering ", "Invalid arguments for ")
"""FastMCP's log lines about failed calls, which have neither cause nor trace id. `log_failed_call` replaces them."""

LOGGED_WITHOUT_TRACEBACK = (SecurityError, FastMCPError, NotFoundError, DisabledError, MCPError)
"""Errors that are logged without a traceback, because they are not defects of the program."""

CLIENT_NAMED_ERRORS = frozenset({"unexpected_keyword_argument", "extra_forbidden"})
"""Types of pydantic errors whose location begins with a name that the client chose."""

MAX_CAUSE_CHARACTERS = 1_000
MAX_MESSAGE_CHARACTERS = 2_000
MAX_TRACEBACK_CHARACTERS = 12_000
MAX_LISTED_PROBLEMS = 10

logger = logging.getLogger(__name__)


def _client_error(error_type: type[FastMCPError], failure: Exception) -> Exception:
    """The exception that FastMCP turns into the answer. Its `__cause__` is for the log.

    Exceptions of the tool itself are not changed, so that FastMCP's `mask_error_details` applies to them.
    """
    if not isinstance(failure, SecurityError):
        return failure
    if failure.error in TEMPORARY_ERRORS:
        return unavailable_call(failure)
    error = error_type(describe_for_client(failure))
    error.__cause__ = failure
    return error


CONVERTERS: Mapping[str, Callable[[Exception], Exception]] = {
    method: partial(_client_error, error_type) for method, error_type in ERROR_TYPES.items()
}
"""For each method that runs a component, what turns the exception of a call into the one that FastMCP expects."""


def unavailable_call(failure: SecurityError) -> CallUnavailable:
    """The exception for a call that cannot be recorded or served now. Its `__cause__` is for the log."""
    error = CallUnavailable(describe_for_client(failure), failure.error)
    error.__cause__ = failure
    return error


def without_client_values(failure: Exception, method: str) -> Exception:
    """The same error without the values of arguments, and with personal data masked.

    It is for errors from before the tool ran.

    FastMCP quotes the name of a component in a NotFoundError. If the name contains personal data, another exception
    type is returned, because FastMCP would quote the name again.
    """
    text = _text_without_input(failure)
    masked = policy_dependencies().detector.mask_text(text)
    if masked == text or isinstance(failure, ValidationError):
        return type(failure)(masked)
    return ToolError(masked) if method == "tools/call" else MCPError(types.INVALID_PARAMS, masked)


async def record_rejected_call(failure: Exception) -> None:
    """Records a call that did not reach a tool. Its name is text of the client and is not recorded.

    Raises JournalUnavailable.
    """
    caller = current_caller.get()
    await policy_dependencies().journal.record(
        AuditEvent(
            event_type=EventType.TOOL_CALL,
            action_taken=Action.REJECTED,
            outcome=Outcome.REFUSED,
            user_id=caller.token.subject if caller else None,
            issuer=caller.token.issuer if caller else None,
            client_id=caller.token.client_id if caller else None,
            reason=Reason.INVALID_ARGUMENTS if isinstance(failure, ValidationError) else Reason.UNKNOWN_COMPONENT,
            source_address=caller.source_address if caller else None,
            trace_id=caller.trace_id if caller else None,
        )
    )


def log_failed_call(framework_request: FrameworkRequest, method: str, failure: BaseException) -> None:
    """Writes one log line with causes and trace id, followed by the traceback of an unexpected exception.

    Before a tool is reached, the text of an exception can quote the client: the name of a component or an argument. It
    is not logged then. A tool's own text is masked, even where the policy lets personal data pass to the client.
    """
    caller = current_caller.get()
    call = framework_request.call
    causes = _causes_of(failure)
    describe_cause = _without_client_text if call is None else _bounded_text
    fields = {
        "method": method,
        "tool": call.tool_name if call else None,
        "reason": call.reason if call else None,
        "trace_id": caller.trace_id if caller else None,
        "cause": " <- ".join(map(describe_cause, causes)),
    }
    text = " ".join(["call_failed", *(f"{name}={value}" for name, value in fields.items() if value is not None)])
    # Before a tool is reached, a pydantic error is about the client's input.
    is_about_input = call is None and isinstance(causes[0], PydanticValidationError)
    is_expected = is_about_input or isinstance(causes[0], LOGGED_WITHOUT_TRACEBACK)
    text = _cut(policy_dependencies().detector.mask_text(text), MAX_MESSAGE_CHARACTERS)
    if not is_expected:
        lines = "".join(traceback.format_tb(causes[0].__traceback__))
        text += "\nTraceback (most recent call last):\n" + lines[-MAX_TRACEBACK_CHARACTERS:]
    is_warning = is_expected and not isinstance(failure, CallUnavailable)
    logger.log(logging.WARNING if is_warning else logging.ERROR, "%s", text)


def _causes_of(failure: BaseException) -> list[BaseException]:
    """The exception that made the call fail, then its causes. FastMCP's exception around it is left out."""
    causes: list[BaseException] = []
    each = failure.__cause__ or failure
    while each is not None and each not in causes:
        causes.append(each)
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return causes


def _without_client_text(error: BaseException) -> str:
    """The type of an exception from before a tool was reached, with what is certainly not text of the client.

    That is the text of our own errors, and for a validation error the known parameters and the kinds of the problems.
    """
    name = type(error).__name__
    if isinstance(error, SecurityError):
        return f"{name}: {_cut(describe(error), MAX_CAUSE_CHARACTERS)}"
    details = _validation_details(error)
    if details is None:
        return name
    problems = details.errors(include_input=False, include_url=False, include_context=False)
    listed = [_problem_without_client_text(each["type"], each["loc"]) for each in problems[:MAX_LISTED_PROBLEMS]]
    if len(problems) > MAX_LISTED_PROBLEMS:
        listed.append(f"{len(problems) - MAX_LISTED_PROBLEMS} more")
    return _cut(f"{name}: {details.title}: {'; '.join(listed)}", MAX_CAUSE_CHARACTERS)


def _problem_without_client_text(problem: str, location: tuple[int | str, ...]) -> str:
    # Only the first part of a location is the name of a parameter: the others can be keys of the client's data.
    if not location or problem in CLIENT_NAMED_ERRORS:
        return problem
    return f"{location[0]}: {problem}"


def _bounded_text(error: BaseException) -> str:
    # The text is cut again after masking: a value at the first cut could be too short to be detected.
    text = _cut(_text_without_input(error), 2 * MAX_CAUSE_CHARACTERS)
    masked = policy_dependencies().detector.mask_text(text)
    return f"{type(error).__name__}: {_cut(masked, MAX_CAUSE_CHARACTERS)}"


def _cut(text: str, max_characters: int) -> str:
    return text if len(text) <= max_characters else f"{text[:max_characters]}…"


def _validation_details(error: BaseException) -> PydanticValidationError | None:
    details = error if isinstance(error, PydanticValidationError) else error.__cause__
    return details if isinstance(details, PydanticValidationError) else None


def _text_without_input(error: BaseException) -> str:
    """The text of an exception. That of a validation error, or of one caused by it, has no input values."""
    if isinstance(error, SecurityError):
        return describe(error)
    details = _validation_details(error)
    if details is None:
        return str(error)
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}"
        for each in details.errors(include_input=False, include_url=False, include_context=False)
    )


def install_log_filters() -> None:
    """Keeps personal data out of FastMCP's own log lines, and drops those that `log_failed_call` replaces."""
    for name in LOGGERS_WITH_VALUES:
        logging.getLogger(name).addFilter(_mask_record)
    logging.getLogger(SERVER_LOGGER).addFilter(_is_not_replaced)


def _mask_record(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    masked = _cut(policy_dependencies().detector.mask_text(text), MAX_MESSAGE_CHARACTERS)
    if masked is not text:
        record.msg, record.args = masked, ()
    return True


def _is_not_replaced(record: logging.LogRecord) -> bool:
    return current_framework_request.get() is None or not record.getMessage().startswith(REPLACED_MESSAGES)
