"""Answers that several rooms give: JSON, errors as JSON, challenges (RFC 6749 section 5, RFC 6750 section 3)."""

import json
from collections.abc import Mapping
from typing import Any

from auth_service.errors import InsufficientScope, InvalidClient, InvalidToken, OAuthError
from auth_service.http.messages import Answer

__all__ = ["NO_STORE", "error_answer", "json_answer"]

NO_STORE = (("cache-control", "no-store"), ("pragma", "no-cache"))


def json_answer(
    members: Mapping[str, Any], *, status: int = 200, headers: tuple[tuple[str, str], ...] = NO_STORE
) -> Answer:
    """A JSON body, in UTF-8 as it is; not stored by anyone unless `headers` say otherwise."""
    body = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status=status, body=body, media_type="application/json", headers=headers)


def error_answer(error: OAuthError, *, realm: str) -> Answer:
    """`error` and `error_description`, with the challenge that the code asks for; `realm` is the issuer."""
    headers = NO_STORE
    if isinstance(error, InvalidClient):
        headers = (*headers, ("www-authenticate", f'Basic realm="{realm}", charset="UTF-8"'))
    elif isinstance(error, InvalidToken | InsufficientScope):
        challenge = f'Bearer realm="{realm}", error="{error.error}", error_description="{error.description}"'
        headers = (*headers, ("www-authenticate", challenge))
    if error.retry_after_seconds is not None:
        headers = (*headers, ("retry-after", str(error.retry_after_seconds)))
    members = {"error": error.error, "error_description": error.description}
    return json_answer(members, status=error.status, headers=headers)
