"""What a tool may see and say: the policy as a pure function, the walk over data, the `secure_tool` decorator.

    arguments ──▶ walk ──▶ leaves: find, then keep, mask, encrypt or refuse ──▶ the tool
    answer    ◀── record on disk ◀── leaves ◀── walk ◀── result, error, progress, log line

policy     what happens to a leaf            call       one call from arguments to record
leaf       finding, masking, encrypting      signature  which argument is which
walk       containers, JSON, limits          failure    exceptions without personal data
values     numbers, bytes, models            runtime    journal, detector and keys in use
"""

from security_common.tool_policy import values as values  # it declares how types are read
from security_common.tool_policy.call import Declaration, bind_field, current_call, owner_of
from security_common.tool_policy.decorator import declaration_of, note_access, secure_tool
from security_common.tool_policy.errors import (
    InsufficientScope,
    PersonalDataRefused,
    ResultWithheld,
    ToolFailed,
    ToolPolicyError,
    TooMuchData,
    Unguardable,
)
from security_common.tool_policy.runtime import Surface, configure, current_surface, runtime
from security_common.tool_policy.signature import Identifier
from security_common.tool_policy.walk import Walk, read_as

__all__ = [
    "Declaration",
    "Identifier",
    "InsufficientScope",
    "PersonalDataRefused",
    "ResultWithheld",
    "Surface",
    "TooMuchData",
    "ToolFailed",
    "ToolPolicyError",
    "Unguardable",
    "Walk",
    "bind_field",
    "configure",
    "current_call",
    "current_surface",
    "declaration_of",
    "note_access",
    "owner_of",
    "read_as",
    "runtime",
    "secure_tool",
]
