"""Reads /readyz of a service: whether it is ready, and if not, why."""

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
    """The notes in an answer: auth-service has one member for all, the resource service one in each check."""
    try:
        answer = json.loads(body)
        of_all = list(answer.get("notes", {}).values())
        of_checks = [each["note"] for each in answer["checks"].values() if not isinstance(each, bool)]
    except (ValueError, AttributeError, KeyError, TypeError):
        return ""
    return "; ".join(filter(None, map(str, of_all + of_checks)))
