"""What every doctor command needs: the result of a check, the checks that services share, and the output."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from security_common.secret_files import ExposedSecret

__all__ = ["CheckResult", "check_exposed_secrets", "print_check_results"]

_EXPOSED_HINT = "`chmod 600`, unless only the container of this service has the file"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    `hint` says how to fix a check that failed (`ok` is false) or gave a `warning`. A warning does not make the command
    fail.
    """

    what: str
    ok: bool
    hint: str = ""
    warning: bool = False

    @property
    def shows_hint(self) -> bool:
        return bool(self.hint) and (self.warning or not self.ok)


def print_check_results(results: Sequence[CheckResult], *, as_json: bool) -> None:
    """Prints the results as lines or as JSON. Raises SystemExit with status 1 when a check failed."""
    if as_json:
        _print_json(results)
    else:
        _print_lines(results)
    if not all(result.ok for result in results):
        raise SystemExit(1)


def _print_json(results: Sequence[CheckResult]) -> None:
    members = [asdict(result) for result in results]
    for result, member in zip(results, members, strict=True):
        if not result.shows_hint:
            member["hint"] = ""
    print(json.dumps(members, ensure_ascii=False, indent=2))


def _print_lines(results: Sequence[CheckResult]) -> None:
    for result in results:
        print(f"{_label(result)} {result.what}")
        if result.shows_hint:
            print(f"     hint: {result.hint}")


def _label(result: CheckResult) -> str:
    if not result.ok:
        return "FAIL"
    return "warn" if result.warning else "ok  "


def check_exposed_secrets(exposed: Iterable[ExposedSecret]) -> list[CheckResult]:
    """A warning for each secret file that other accounts can read; files mounted into a container often are."""
    results = [CheckResult(f"secrets: {each}", ok=True, hint=_EXPOSED_HINT, warning=True) for each in exposed]
    return results or [CheckResult("secrets: only their owner can read the files", ok=True)]
