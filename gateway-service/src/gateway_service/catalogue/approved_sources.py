"""Which upstreams may be contacted: with gateway.lock, those that it has as gateway.yaml says how they are reached.

A person who can change a URL, in an included file or in a variable, would otherwise receive the credential of the
upstream and the arguments of its calls; one who can change the arguments of `npx` could run any package.
"""

from typing import ClassVar

from gateway_service.catalogue.lock_file import Lock
from gateway_service.declaration import UpstreamDeclaration
from security_common.errors import SecurityError

__all__ = ["SourceNotApproved", "find_source_problem"]


class SourceNotApproved(SecurityError):
    """gateway.lock does not have the upstream, or has it with another source.

    `difference` is how the approved source differs; empty for an upstream that is not in the lock.
    """

    error: ClassVar[str] = "upstream_not_approved"

    def __init__(self, description: str, *, hint: str, difference: str = "") -> None:
        super().__init__(description, hint=hint)
        self.difference = difference


def find_source_problem(declaration: UpstreamDeclaration, lock: Lock | None) -> SourceNotApproved | None:
    """Why the upstream must not be contacted, or None. Upstreams with live lists are not in the lock."""
    if lock is None or declaration.is_live:
        return None
    approved = lock.upstreams.get(declaration.name)
    if approved is None:
        return SourceNotApproved(
            f"{declaration.name} is not in gateway.lock, so it is not contacted and offers nothing",
            hint="run `gateway-service pin`, then `approve`",
        )
    if not approved.source:
        return None
    if approved.source != declaration.source:
        difference = f"another URL or command: {approved.source}"
    elif approved.source_digest != declaration.source_digest:
        difference = "other arguments, variables, headers, credential, folder or query"
    else:
        return None
    return SourceNotApproved(
        f"{declaration.name} was approved with {difference}, so it is not contacted and offers nothing",
        hint="`gateway-service approve` accepts, after `pin`, what the files say now",
        difference=difference,
    )
