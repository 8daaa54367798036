"""Which upstreams may be contacted: with gateway.lock, those that it has with the URL or command of gateway.yaml.

A person who can change a URL, in an included file or in a variable, would otherwise receive the credential of the
upstream and the arguments of its calls.
"""

from typing import ClassVar

from gateway_service.catalogue.lock_file import Lock
from gateway_service.declaration import UpstreamDeclaration
from security_common.errors import SecurityError

__all__ = ["SourceNotApproved", "find_source_problem"]


class SourceNotApproved(SecurityError):
    """gateway.lock does not have the upstream, or has it with another source. `is_in_lock` is whether it has it."""

    error: ClassVar[str] = "upstream_not_approved"

    def __init__(self, description: str, *, hint: str, is_in_lock: bool) -> None:
        super().__init__(description, hint=hint)
        self.is_in_lock = is_in_lock


def find_source_problem(declaration: UpstreamDeclaration, lock: Lock | None) -> SourceNotApproved | None:
    """Why the upstream must not be contacted, or None. Upstreams with live lists are not in the lock."""
    if lock is None or declaration.is_live:
        return None
    approved = lock.upstreams.get(declaration.name)
    if approved is None:
        return SourceNotApproved(
            f"{declaration.name} is not in gateway.lock, so it is not contacted and offers nothing",
            hint="run `gateway-service pin`, then `approve`",
            is_in_lock=False,
        )
    if approved.source in {"", declaration.source}:
        return None
    return SourceNotApproved(
        f"{declaration.name} was approved with another URL or command, so it is not contacted and offers nothing",
        hint="`gateway-service pin` shows both, and `gateway-service approve` accepts the new one",
        is_in_lock=True,
    )
