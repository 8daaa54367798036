"""What a doctor says about the files that hold secrets."""

from collections.abc import Iterable

from security_common.secret_files import ExposedSecret
from security_common.service.findings import Finding

__all__ = ["judge_secret_files"]

_HINT = "`chmod 600`, unless only the container of this service has the file"


def judge_secret_files(exposed: Iterable[ExposedSecret]) -> list[Finding]:
    """A warning for each secret that more than its owner can read. Secrets mounted into a container often are so."""
    found = [Finding(f"secrets: {each}", ok=True, hint=_HINT, warning=True) for each in exposed]
    return found or [Finding("secrets: only their owner can read the files", ok=True)]
