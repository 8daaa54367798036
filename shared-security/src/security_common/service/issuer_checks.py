"""What the doctor of a service checks at an issuer whose tokens it accepts: keys, clock and announced resources."""

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx2

from security_common.errors import SecurityError
from security_common.service.doctor import CheckResult, check_clock
from security_common.tokens import TrustedIssuer
from security_common.tokens.issuer_fetch import fetch_document
from security_common.tokens.issuer_metadata import jwks_uri_in, read_metadata, status_since_in
from security_common.tokens.validation_rules import LEEWAY_SECONDS
from security_common.tokens.verification_keys import read_key_set

__all__ = ["announced_resources", "check_issuer"]

_HTTP_SECONDS = 5.0
_KEYS_HINT = "its jwks_uri must return a key for a declared algorithm; RSA keys need at least 2048 bits"


async def check_issuer(issuer: TrustedIssuer) -> list[CheckResult]:
    """Whether the issuer publishes a key for one of its algorithms, and its clock agrees with that of this machine."""
    ahead_seconds: list[float] = []

    async def compare_clocks(response: httpx2.Response) -> None:
        with suppress(KeyError, ValueError):  # the Date header is optional
            ahead_seconds.append(time.time() - parsedate_to_datetime(response.headers["date"]).timestamp())

    try:
        async with httpx2.AsyncClient(timeout=_HTTP_SECONDS, event_hooks={"response": [compare_clocks]}) as http:
            metadata = await read_metadata(http, issuer)
            url = jwks_uri_in(metadata, issuer)
            document = await fetch_document(http, url)
            keys = read_key_set(document.body, issuer.algorithms)
    except SecurityError as failure:
        return [CheckResult(f"issuer: {failure.description}", ok=False, hint=failure.hint or _KEYS_HINT)]
    except ValueError:
        what = f"issuer: {issuer.issuer} has no key for {' or '.join(issuer.algorithms)}"
        return [CheckResult(what, ok=False, hint=_KEYS_HINT)]
    # The smallest difference contains the least network time.
    ahead = min(ahead_seconds, key=abs, default=0.0)
    return [
        CheckResult(f"issuer: {issuer.issuer}, {len(keys)} keys at {url}", ok=True),
        check_clock(ahead, issuer.issuer, tolerance_seconds=LEEWAY_SECONDS),
        *_check_status_lists(metadata, issuer),
    ]


def _check_status_lists(metadata: Mapping[str, Any], issuer: TrustedIssuer) -> list[CheckResult]:
    """Whether revoked tokens of auth-service are refused here before they expire. Other issuers need not do that."""
    if not issuer.is_own:
        return []
    if status_since_in(metadata) < math.inf:
        return [CheckResult("status lists: revoked tokens are refused before they expire", ok=True)]
    what = f"status lists: {issuer.issuer} has none, so revoked tokens are accepted until they expire"
    return [CheckResult(what, ok=True, warning=True, hint="upgrade auth-service, and check that it reaches its Redis")]


def announced_resources(metadata: Mapping[str, Any]) -> list[str] | None:
    """The resources that the issuer issues tokens for, by its metadata (RFC 9728 section 4).

    None for an issuer that does not announce them; issuers other than auth-service may not do that.
    """
    announced: Any = metadata.get("protected_resources")
    return list(map(str, cast("list[Any]", announced))) if isinstance(announced, list) else None
