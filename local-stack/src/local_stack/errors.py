"""What can stop the stack from starting, and how to mend it."""

from security_common.errors import SecurityError

__all__ = ["StackError"]


class StackError(SecurityError):
    """The stack could not start; nothing of it is left running."""

    error = "stack_failed"
