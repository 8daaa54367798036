"""Rules for fetching a document from a server that is not trusted: not compressed, and not larger than expected.

Callers also set a deadline for the whole exchange and follow no redirect. Compressed bodies are refused because a small
one can decompress to any size.
"""

import re
from collections.abc import AsyncIterable

__all__ = ["REQUEST_HEADERS", "DocumentRefused", "check_not_compressed", "parse_max_age", "read_bounded"]

REQUEST_HEADERS = {"accept": "application/json", "accept-encoding": "identity"}

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})\s*(?:,|$)", re.IGNORECASE)


class DocumentRefused(Exception):
    """The response breaks a rule of this module; the message says which."""


def check_not_compressed(content_encoding: str | None) -> None:
    """Raises `DocumentRefused` for a response with a Content-Encoding, which `REQUEST_HEADERS` did not ask for."""
    if (content_encoding or "identity").lower() != "identity":
        raise DocumentRefused("the document is compressed, which was not requested")


async def read_bounded(chunks: AsyncIterable[bytes], *, max_bytes: int) -> bytes:
    """The whole body. Raises `DocumentRefused` as soon as it is larger than `max_bytes`."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise DocumentRefused(f"the document is larger than {max_bytes} bytes")
    return bytes(body)


def parse_max_age(cache_control: str) -> int | None:
    """The seconds of `max-age` in a Cache-Control header (RFC 9111 section 5.2.2.1), or None."""
    found = _MAX_AGE.search(cache_control)
    return int(found[1]) if found else None
