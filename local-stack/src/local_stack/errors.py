"""The error that every command of the stack raises."""

from security_common.errors import SecurityError

__all__ = ["StackError"]


class StackError(SecurityError):
    """The stack cannot be started or used. After a failed start no process is left running."""

    error = "stack_failed"
