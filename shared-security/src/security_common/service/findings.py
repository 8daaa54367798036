"""What a doctor tells: for people a line each, for programs JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

__all__ = ["Finding", "tell_findings"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `hint` says how to mend it when it is not `ok`."""

    what: str
    ok: bool
    hint: str = ""


def tell_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Prints them. Raises SystemExit with status 1 when anything is wrong."""
    if as_json:
        told = [asdict(finding) | ({"hint": ""} if finding.ok else {}) for finding in findings]
        print(json.dumps(told, ensure_ascii=False, indent=2))
    for finding in () if as_json else findings:
        print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.what}")
        if not finding.ok and finding.hint:
            print(f"     hint: {finding.hint}")
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)
