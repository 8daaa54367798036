"""One document from an issuer, whatever the other side does: bounded in size and time, no redirect, no compression."""

import asyncio
import re
from dataclasses import dataclass

import httpx2

from security_common.tokens.errors import IssuerUnreachable

__all__ = ["MAX_DOCUMENT_BYTES", "Document", "fetch"]

MAX_DOCUMENT_BYTES = 64 * 1024
DEADLINE_SECONDS = 5.0
OK, NOT_MODIFIED = 200, 304
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})", re.IGNORECASE)
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')


@dataclass(frozen=True, slots=True)
class Document:
    """A body with what its sender says about keeping it. `body` is None when ours is still current (304)."""

    body: bytes | None
    etag: str | None
    max_age_seconds: float | None


async def fetch(
    http: httpx2.AsyncClient, url: str, *, etag: str | None = None, deadline_seconds: float = DEADLINE_SECONDS
) -> Document:
    """GETs the document.

    Raises:
        IssuerUnreachable: no complete answer before the deadline, not a 200 (or 304 to our ETag), encoded, or larger
            than 64 KiB.

    """
    try:
        # For the whole exchange: a server that sends a byte now and then never meets a timeout for one read.
        async with asyncio.timeout(deadline_seconds):
            return await _exchange(http, url, etag)
    except TimeoutError as error:
        raise IssuerUnreachable(f"{url} took over {deadline_seconds:g} s") from error


async def _exchange(http: httpx2.AsyncClient, url: str, etag: str | None) -> Document:
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    if etag is not None:
        headers["if-none-match"] = etag
    try:
        async with http.stream("GET", url, headers=headers, follow_redirects=False) as response:
            kept = _kept_for(response)
            if response.status_code == NOT_MODIFIED and etag is not None:
                return Document(None, etag, kept)
            if response.status_code != OK:
                raise IssuerUnreachable(f"{url} answered {response.status_code}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise IssuerUnreachable(f"{url} answered with an encoding that was not asked for")
            return Document(await _read_bounded(response, url), _etag_of(response), kept)
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise IssuerUnreachable(f"{url} does not answer ({type(error).__name__})") from error


async def _read_bounded(response: httpx2.Response, url: str) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_DOCUMENT_BYTES:
            raise IssuerUnreachable(f"{url} answered with more than {MAX_DOCUMENT_BYTES} bytes")
    return bytes(body)


def _etag_of(response: httpx2.Response) -> str | None:
    etag = response.headers.get("etag", "")
    return etag if _ETAG.fullmatch(etag) else None


def _kept_for(response: httpx2.Response) -> float | None:
    found = _MAX_AGE.search(response.headers.get("cache-control", ""))
    return float(found[1]) if found else None
