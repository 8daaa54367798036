"""Fetches one document of an issuer: limited in size and time, without redirects and without compression."""

import asyncio
import re
from dataclasses import dataclass

import httpx2

from security_common.bounded_fetch import (
    REQUEST_HEADERS,
    DocumentRefused,
    check_not_compressed,
    parse_max_age,
    read_bounded,
)
from security_common.tokens.errors import IssuerUnreachable

__all__ = ["MAX_DOCUMENT_BYTES", "Document", "fetch_document"]

MAX_DOCUMENT_BYTES = 64 * 1024
DEADLINE_SECONDS = 5.0
OK, NOT_MODIFIED = 200, 304
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')


@dataclass(frozen=True, slots=True)
class Document:
    """A response body with its caching headers.

    `max_age_seconds` is None if the response does not say how long it is fresh. If `is_unchanged`, the caller's copy is
    still current (304) and `body` is empty.
    """

    body: bytes
    etag: str | None
    max_age_seconds: float | None
    is_unchanged: bool = False


async def fetch_document(
    http: httpx2.AsyncClient,
    url: str,
    *,
    etag: str | None = None,
    accept: str = "application/json",
    max_bytes: int = MAX_DOCUMENT_BYTES,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> Document:
    """Sends a GET request for the document; `etag` is the one of the caller's copy.

    Raises:
        IssuerUnreachable: no complete response before the deadline, not a 200 (or a 304 to the entity tag), compressed,
            or larger than `max_bytes`.

    """
    try:
        # For the whole exchange: a server that sends a byte now and then never exceeds a timeout for one read.
        async with asyncio.timeout(deadline_seconds):
            return await _exchange(http, url, etag, accept, max_bytes)
    except TimeoutError as error:
        raise IssuerUnreachable(f"{url} took over {deadline_seconds:g} s") from error


async def _exchange(http: httpx2.AsyncClient, url: str, etag: str | None, accept: str, max_bytes: int) -> Document:
    headers = {**REQUEST_HEADERS, "accept": accept}
    if etag is not None:
        headers["if-none-match"] = etag
    try:
        async with http.stream("GET", url, headers=headers, follow_redirects=False) as response:
            max_age_seconds = parse_max_age(response.headers.get("cache-control", ""))
            if response.status_code == NOT_MODIFIED and etag is not None:
                return Document(b"", etag, max_age_seconds, is_unchanged=True)
            if response.status_code != OK:
                raise IssuerUnreachable(f"{url} answered {response.status_code}")
            check_not_compressed(response.headers.get("content-encoding"))
            body = await read_bounded(response.aiter_raw(), max_bytes=max_bytes)
            return Document(body, _read_etag(response), max_age_seconds)
    except DocumentRefused as error:
        raise IssuerUnreachable(f"{url}: {error}") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise IssuerUnreachable(f"{url} does not answer ({type(error).__name__})") from error


def _read_etag(response: httpx2.Response) -> str | None:
    etag = response.headers.get("etag", "")
    return etag if _ETAG.fullmatch(etag) else None
