"""Protection of personal data around a tool: the policy, the walk over nested data, and the `secure_tool` decorator.

arguments ─▶ data_walk ─▶ leaf_protection: find, then keep, mask, encrypt or refuse ─▶ the tool
answer    ◀─ audit event on disk ◀─ leaf_protection ◀─ walk ◀─ result, exception, progress, log message

decorator            secure_tool: a call of the decorated function from start to end
secured_tool         what secure_tool was given for a tool, and its arguments
secured_call         the state of one call, and its audit event
policy               what happens to a leaf, as pure functions
framework_request    the request of a framework, such as FastMCP, that a call belongs to
json_walk            JSON values, and JSON in text; the limits of size and depth
mcp_messages         MCP results, notifications and requests to the client in their JSON form
output_schemas       published schemas that protected results match
data_walk            values of Python, for functions that are called without a framework
typed_values         numbers, dates, bytes, dataclasses and pydantic models in that walk
binary_content       bytes and base64
leaf_protection      one leaf: findings, masks, ciphertext, pseudonyms
call_searches        the searches of one call: where they run, and when they are repeated
search_queue         large data is searched in a thread beside the event loop
call_placeholders    the placeholders that one call puts back and writes
placeholder_store    which placeholder replaces which value: the interface, and a store in memory
redis_placeholder_store   the store that replicas share
exception_masking    exceptions of a tool without personal data
policy_dependencies  the journal, detector and keys in use
pseudonyms           keyed digests of people and values
errors               why a tool call is refused
"""

from security_common.tool_policy import typed_values as typed_values  # registers its handlers
from security_common.tool_policy.data_walk import DataWalk, handles
from security_common.tool_policy.decorator import (
    annotate_audit_event,
    ends_task,
    fail_call,
    record_cancelled_call,
    secure_tool,
)
from security_common.tool_policy.errors import (
    PersonalDataRefused,
    PlaceholderInvalid,
    ResultWithheld,
    ScopesMissing,
    SearchQueueFull,
    ToolFailed,
    ToolPolicyError,
    TooMuchData,
    UnsupportedValue,
)
from security_common.tool_policy.framework_request import FrameworkRequest, current_framework_request
from security_common.tool_policy.json_walk import JSONWalk
from security_common.tool_policy.placeholder_store import (
    InMemoryPlaceholderStore,
    PlaceholderLimitReached,
    PlaceholderStore,
    PlaceholdersUnavailable,
)
from security_common.tool_policy.policy_dependencies import configure, policy_dependencies
from security_common.tool_policy.secured_call import SecuredCall, bind_field, current_call, owner_of, walk_without_call
from security_common.tool_policy.secured_tool import DeclaredArguments, Identifier, SecuredTool, secured_tool_of
from security_common.tool_scopes import ArgumentScope

__all__ = [
    "ArgumentScope",
    "DataWalk",
    "DeclaredArguments",
    "FrameworkRequest",
    "Identifier",
    "InMemoryPlaceholderStore",
    "JSONWalk",
    "PersonalDataRefused",
    "PlaceholderInvalid",
    "PlaceholderLimitReached",
    "PlaceholderStore",
    "PlaceholdersUnavailable",
    "ResultWithheld",
    "ScopesMissing",
    "SearchQueueFull",
    "SecuredCall",
    "SecuredTool",
    "TooMuchData",
    "ToolFailed",
    "ToolPolicyError",
    "UnsupportedValue",
    "annotate_audit_event",
    "bind_field",
    "configure",
    "current_call",
    "current_framework_request",
    "ends_task",
    "fail_call",
    "handles",
    "owner_of",
    "policy_dependencies",
    "record_cancelled_call",
    "secure_tool",
    "secured_tool_of",
    "walk_without_call",
]
