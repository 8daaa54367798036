"""The tool that returns an access token, in demo mode only."""

import asyncio
from typing import Annotated, Any, ClassVar

import httpx2
from fastmcp import FastMCP
from pydantic import Field
from typing_extensions import TypedDict

from mcp_resource_service.issuer_endpoints import own_issuer, read_endpoints
from mcp_resource_service.scopes import ACCESS_SCOPE
from mcp_resource_service.settings import ResourceSettings
from security_common.errors import SecurityError
from security_common.tokens.errors import IssuerUnreachable
from security_common.tool_policy import secure_tool

__all__ = ["TokenRefused", "register"]

# The demo client of auth-service. Its secret is public on purpose: demo mode runs on loopback addresses only.
DEMO_CLIENT_ID, DEMO_CLIENT_SECRET = "mcp-client", "secret"
TOKEN_REQUEST_SECONDS = 5.0


class TokenRefused(SecurityError):
    """The issuer refused the token request."""

    error: ClassVar[str] = "token_refused"


class TestToken(TypedDict):
    """The token response (RFC 6749 section 5.1) and an example of its use."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    example: str


def register(mcp: FastMCP, http: httpx2.AsyncClient, settings: ResourceSettings) -> None:
    """Adds `create_test_token`."""

    @mcp.tool(
        title="Get a test token · 테스트 토큰 발급",
        annotations={"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": False},
    )
    @secure_tool(pii_policy="observe", scopes=[ACCESS_SCOPE])
    async def create_test_token(
        scope: Annotated[
            str,
            Field(
                description="Scopes, separated by spaces: mcp.access, mcp.decrypt. 공백으로 구분한 권한(scope) 목록.",
                pattern=r"^[a-z._]+( [a-z._]+)*$",
                max_length=200,
            ),
        ] = "mcp.access",
    ) -> TestToken:
        """Get an access token of the demo client from auth-service, with a curl command that uses it.

        Available in demo mode only.
        데모 클라이언트의 액세스 토큰을 발급받고, 사용 예시를 함께 반환합니다. 데모 모드 전용입니다.
        """
        token = await _request_token(http, settings, scope)
        example = f'curl -H "Authorization: Bearer {token["access_token"]}" {settings.origin}/hello'
        return {**token, "example": example}  # pyright: ignore[reportReturnType] - RFC 6749 section 5.1 and the example


async def _request_token(http: httpx2.AsyncClient, settings: ResourceSettings, scope: str) -> dict[str, Any]:
    endpoints = await read_endpoints(http, own_issuer(settings))
    form = {"grant_type": "client_credentials", "scope": scope, "resource": settings.resource}
    try:
        async with asyncio.timeout(TOKEN_REQUEST_SECONDS):
            response = await http.post(endpoints.token_endpoint, data=form, auth=(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET))
        document: dict[str, Any] = response.json()
    except (httpx2.HTTPError, TimeoutError, ValueError) as failure:
        raise IssuerUnreachable("auth-service returned no token", hint="is auth-service running?") from failure
    if response.status_code != 200:
        raise TokenRefused(
            f"auth-service refused: {document.get('error', response.status_code)}",
            hint=str(document.get("error_description", "")),
        )
    return {name: document[name] for name in ("access_token", "token_type", "expires_in", "scope")}
