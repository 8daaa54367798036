"""`auth-service doctor`: what an operator would otherwise find out one failure at a time."""

import json as json_text
from dataclasses import asdict

from auth_service.cli.connection import Json, run

__all__ = ["doctor"]


def doctor(*, json: Json = False) -> None:
    """Look at declaration, Redis, keys, clock and issuer, and say what to mend; exit 1 if anything is wrong.

    For example: auth-service doctor --json
    """
    from auth_service.cli.examination import examine  # noqa: PLC0415 - `serve` need not hold what only this command uses

    findings = run(examine)
    if json:
        print(json_text.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    for finding in () if json else findings:
        print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.what}")
        if not finding.ok and finding.hint:
            print(f"     hint: {finding.hint}")
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)
