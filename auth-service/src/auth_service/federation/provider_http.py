"""HTTP requests to an identity provider: limited in size and time, not compressed, without redirects and proxies.

Private addresses are allowed, because the operator has named the provider. The fetcher for addresses that clients
choose is another one (`clients.ssrf_safe_fetch`).
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx2

from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from security_common.bounded_fetch import REQUEST_HEADERS, DocumentRefused, check_not_compressed, read_bounded
from security_common.strict_json import parse_json

__all__ = ["DEADLINE_SECONDS", "BoundedTransport", "ProviderHttp", "deadline", "unexpected_status"]

DEADLINE_SECONDS = 5.0
MAX_BYTES = 64 * 1024
_MAX_DEPTH = 16


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Refuses responses that are compressed or larger than 64 KiB. It is shared, so a client does not close it."""

    def __init__(self, ca_file: Path | None) -> None:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file is not None else None)
        self._inner = httpx2.AsyncHTTPTransport(verify=context, limits=httpx2.Limits(max_connections=10))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["accept-encoding"] = REQUEST_HEADERS["accept-encoding"]
        response = await self._inner.handle_async_request(request)
        try:
            check_not_compressed(response.headers.get("content-encoding"))
            body = await read_bounded(cast("Any", response.stream), max_bytes=MAX_BYTES)
        except DocumentRefused as error:
            raise ProviderFailure(ProviderProblem.BAD_RESPONSE, f"{request.url.host}: {error}") from error
        finally:
            await response.aclose()
        return httpx2.Response(response.status_code, headers=response.headers, content=body, request=request)

    async def aclose(self) -> None:
        """Does nothing: see `close`."""

    async def close(self) -> None:
        await self._inner.aclose()


class ProviderHttp:
    """The connections to one provider."""

    def __init__(self, ca_file: Path | None) -> None:
        self.transport = BoundedTransport(ca_file)
        self._client = httpx2.AsyncClient(transport=self.transport, trust_env=False, follow_redirects=False)

    async def get_json(self, url: str, *, headers: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """The JSON object at the URL. Raises `ProviderFailure`."""
        async with deadline(url):
            response = await self._client.get(url, headers={**REQUEST_HEADERS, **(headers or {})})
        if response.status_code != 200:
            raise unexpected_status(url, response.status_code)
        try:
            document = parse_json(response.content, max_depth=_MAX_DEPTH)
        except (ValueError, RecursionError) as error:
            raise ProviderFailure(ProviderProblem.BAD_RESPONSE, f"{url} did not answer with JSON") from error
        if not isinstance(document, dict):
            raise ProviderFailure(ProviderProblem.BAD_RESPONSE, f"{url} did not answer with a JSON object")
        return cast("Mapping[str, Any]", document)

    async def close(self) -> None:
        await self._client.aclose()
        await self.transport.close()


def unexpected_status(url: str, status: int) -> ProviderFailure:
    """The failure for a status that is not a success. After 429 and 5xx, the same request can succeed later."""
    problem = ProviderProblem.UNREACHABLE if status >= 500 or status == 429 else ProviderProblem.BAD_RESPONSE
    return ProviderFailure(problem, f"{url} answered {status}")


@asynccontextmanager
async def deadline(url: str) -> AsyncGenerator[None]:
    """Runs one exchange for five seconds at most. Raises `ProviderFailure` if it fails."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield
    except TimeoutError as error:
        raise ProviderFailure(ProviderProblem.UNREACHABLE, f"{url} took over {DEADLINE_SECONDS:g} s") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, ssl.SSLError, OSError) as error:
        description = f"{url} does not answer ({type(error).__name__})"
        raise ProviderFailure(
            ProviderProblem.UNREACHABLE, description, hint="check the address, the network and ca_file"
        ) from error
