"""Reads /readyz of a service: whether it is ready, and if not, why.

urllib, because importing httpx2 would delay the start of `make run`.
"""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass

__all__ = ["Readiness", "fetch_readiness", "read_notes"]

_ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """`notes` are the service's descriptions of what is wrong; empty if it does not answer."""

    is_ready: bool
    notes: str = ""


def fetch_readiness(url: str) -> Readiness:
    """Requests the URL of /readyz. A service that does not answer is not ready."""
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 - our own loopback address
            return Readiness(answer.status == 200)
    except urllib.error.HTTPError as refused:
        with refused:
            return Readiness(is_ready=False, notes=read_notes(refused.read()))
    except OSError:
        return Readiness(is_ready=False)


def read_notes(body: bytes) -> str:
    """The notes of all checks in a response of /readyz (`security_common.service.health`)."""
    try:
        notes = [str(check["note"]) for check in json.loads(body)["checks"].values()]
    except (ValueError, AttributeError, KeyError, TypeError):
        return ""
    return "; ".join(note for note in notes if note)
