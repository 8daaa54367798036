"""What a doctor tells: for people a line each, for programs JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

__all__ = ["Finding", "tell_findings"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `hint` says what to do when it is not `ok`, or only a `warning`: no reason to fail."""

    what: str
    ok: bool
    hint: str = ""
    warning: bool = False

    @property
    def has_hint(self) -> bool:
        return bool(self.hint) and (self.warning or not self.ok)


def tell_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Prints them. Raises SystemExit with status 1 when anything is wrong; a warning is nothing wrong."""
    if as_json:
        told = [asdict(finding) | ({} if finding.has_hint else {"hint": ""}) for finding in findings]
        print(json.dumps(told, ensure_ascii=False, indent=2))
    for finding in () if as_json else findings:
        print(f"{_label(finding)} {finding.what}")
        if finding.has_hint:
            print(f"     hint: {finding.hint}")
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)


def _label(finding: Finding) -> str:
    if not finding.ok:
        return "FAIL"
    return "warn" if finding.warning else "ok  "
