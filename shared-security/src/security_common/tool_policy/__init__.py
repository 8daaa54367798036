"""Protection of personal data around a tool: the policy, the walk over nested data, and the `secure_tool` decorator.

arguments ─▶ data_walk ─▶ leaf_protection: find, then keep, mask, encrypt or refuse ─▶ the tool
answer    ◀─ audit event on disk ◀─ leaf_protection ◀─ data_walk ◀─ result, exception, progress, log message

decorator            secure_tool: a call of the decorated function from start to end
secured_tool         what secure_tool was given for a tool, and the signature of its function
secured_call         the state of one call, and its audit event
policy               what happens to a leaf, as pure functions
data_walk            nested data, containers and JSON in text; the limits of size and depth
typed_values         numbers, dates, bytes, dataclasses and pydantic models in the walk
leaf_protection      one leaf: findings, masks, ciphertext, pseudonyms
search_queue         large data is searched in a thread beside the event loop
exception_masking    exceptions of a tool without personal data
policy_dependencies  the journal, detector and keys in use
pseudonyms           keyed digests of people and values
"""

from security_common.tool_policy import typed_values as typed_values  # registers its handlers
from security_common.tool_policy.data_walk import DataWalk, handles
from security_common.tool_policy.decorator import annotate_audit_event, secure_tool
from security_common.tool_policy.errors import (
    InsufficientScope,
    PersonalDataRefused,
    ResultWithheld,
    SearchQueueFull,
    ToolFailed,
    ToolPolicyError,
    TooMuchData,
    UnsupportedValue,
)
from security_common.tool_policy.policy_dependencies import configure, policy_dependencies
from security_common.tool_policy.secured_call import (
    FrameworkAdapter,
    SecuredCall,
    bind_field,
    current_adapter,
    current_call,
    owner_of,
)
from security_common.tool_policy.secured_tool import Identifier, SecuredTool, secured_tool_of
from security_common.tool_scopes import ArgumentScope

__all__ = [
    "ArgumentScope",
    "DataWalk",
    "FrameworkAdapter",
    "Identifier",
    "InsufficientScope",
    "PersonalDataRefused",
    "ResultWithheld",
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
    "current_adapter",
    "current_call",
    "handles",
    "owner_of",
    "policy_dependencies",
    "secure_tool",
    "secured_tool_of",
]
