"""`auth-service doctor`: what an operator would otherwise find out one failure at a time."""

from auth_service.cli.connection import Json, run
from security_common.service import tell_findings

__all__ = ["doctor"]


def doctor(*, json: Json = False) -> None:
    """Look at declaration, Redis, keys, clock and issuer, and say what to mend; exit 1 if anything is wrong.

    For example: auth-service doctor --json
    """
    from auth_service.cli.examination import examine  # noqa: PLC0415 - `serve` need not hold what only this command uses

    tell_findings(run(examine), as_json=json)
