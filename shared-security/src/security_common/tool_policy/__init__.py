"""What a tool may see and say: the policy as a pure function, the walk over data, the `secure_tool` decorator.

    arguments ──▶ walk ──▶ leaves: find, then keep, mask, encrypt or refuse ──▶ the tool
    answer    ◀── record on disk ◀── leaves ◀── walk ◀── result, error, progress, log line

policy     what happens to a leaf            call       one call from arguments to record
leaf       finding, masking, encrypting      signature  which argument is which
walk       containers, JSON, limits          failure    exceptions without personal data
values     numbers, bytes, models            runtime    journal, detector and keys in use
"""

from security_common.tool_policy import typed_values as typed_values  # registers the readers of these types
from security_common.tool_policy.data_walk import DataWalk, register_reader
from security_common.tool_policy.decorator import annotate_audit_event, secure_tool, secured_tool_of
from security_common.tool_policy.errors import (
    InsufficientScope,
    PersonalDataRefused,
    ResultWithheld,
    ToolFailed,
    ToolPolicyError,
    TooMuchData,
    UnsupportedValue,
)
from security_common.tool_policy.policy_dependencies import (
    FrameworkAdapter,
    configure,
    current_adapter,
    policy_dependencies,
)
from security_common.tool_policy.secured_call import SecuredTool, bind_field, current_call, owner_of
from security_common.tool_policy.secured_tool import Identifier

__all__ = [
    "DataWalk",
    "FrameworkAdapter",
    "Identifier",
    "InsufficientScope",
    "PersonalDataRefused",
    "ResultWithheld",
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
    "owner_of",
    "policy_dependencies",
    "register_reader",
    "secure_tool",
    "secured_tool_of",
]
