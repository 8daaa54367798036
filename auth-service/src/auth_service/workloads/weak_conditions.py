"""Conditions of workloads that let in more than they seem to: for the log at start, and for the doctor."""

from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from auth_service.declaration import Declaration
from auth_service.declared_workloads import describe_weaknesses

__all__ = ["WeakConditions", "find_weak_conditions", "log_weak_conditions"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakConditions:
    """What is wrong with the conditions of a client's workload, and how to correct it."""

    client_id: str
    issuer_id: str
    description: str
    hint: str


def find_weak_conditions(declaration: Declaration) -> Iterator[WeakConditions]:
    """All weak conditions of the declaration."""
    issuers = {issuer.id: issuer for issuer in declaration.workload_issuers}
    for client in declaration.clients:
        for workload in client.workloads:
            for description, hint in describe_weaknesses(issuers[workload.issuer], workload):
                yield WeakConditions(
                    client_id=client.client_id, issuer_id=workload.issuer, description=description, hint=hint
                )


def log_weak_conditions(declaration: Declaration) -> None:
    """Writes a warning for each of them: the service starts all the same."""
    for weak in find_weak_conditions(declaration):
        log.warning(
            "workload_conditions_are_weak",
            client_id=weak.client_id,
            issuer=weak.issuer_id,
            cause=weak.description,
            hint=weak.hint,
        )
