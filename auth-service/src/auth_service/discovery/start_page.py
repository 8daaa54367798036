"""The content of the start page, which browsers get at `/`."""

from auth_service.paths import METADATA_PATHS
from security_common.service.browser_pages import StartPage, StartPageLink, link_to_api_docs, link_to_client_address

__all__ = ["make_start_page"]


def make_start_page(*, issuer: str, resource: str, account_path: str | None, shows_api_docs: bool) -> StartPage:
    """`resource` is the address of the default resource, `account_path` that of the page of a user's own account."""
    links = [
        link_to_client_address(resource),
        StartPageLink({"en": "Issuer of the tokens", "ko": "토큰 발급자(issuer)"}, issuer, is_page=False),
        StartPageLink({"en": "Metadata for clients", "ko": "클라이언트용 메타데이터"}, issuer + METADATA_PATHS[0]),
    ]
    if account_path is not None:
        links.insert(0, StartPageLink({"en": "Your account", "ko": "내 계정"}, issuer + account_path))
    if shows_api_docs:
        links.append(link_to_api_docs(issuer))
    return StartPage(
        name="auth-service",
        title={"en": "Sign-in for MCP servers", "ko": "MCP 서버 로그인"},
        purpose={
            "en": "People sign in here, and programs get the access tokens that MCP servers require.",
            "ko": "사용자가 로그인하고, 프로그램이 MCP 서버에 쓸 액세스 토큰을 받는 곳입니다.",
        },
        links=links,
    )
