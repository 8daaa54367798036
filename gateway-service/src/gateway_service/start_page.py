"""What `/` says to a person who opens it in a browser."""

from security_common.guard.policy import PROTECTED_RESOURCE_METADATA_PATH
from security_common.service.api_docs import DOCS_PATH
from security_common.service.browser_pages import StartPage, StartPageLink

__all__ = ["make_start_page"]


def make_start_page(*, origin: str, resource: str, issuer: str, shows_api_docs: bool) -> StartPage:
    """`resource` is the address of all upstreams together. Their names are only shown to callers with a token."""
    links = [
        StartPageLink({"en": "For your MCP client", "ko": "MCP 클라이언트에 등록할 주소"}, resource, is_page=False),
        StartPageLink({"en": "Sign-in", "ko": "로그인"}, f"{issuer}/"),
        StartPageLink(
            {"en": "Metadata of the resource", "ko": "리소스 메타데이터"}, origin + PROTECTED_RESOURCE_METADATA_PATH
        ),
    ]
    if shows_api_docs:
        links.append(StartPageLink({"en": "HTTP API", "ko": "HTTP API 문서"}, origin + DOCS_PATH))
    return StartPage(
        name="gateway-service",
        title={"en": "Gateway to MCP servers", "ko": "MCP 게이트웨이"},
        purpose={
            "en": "MCP servers behind sign-in, with a policy for personal data and every access on record.",
            "ko": "MCP 서버 앞에서 로그인을 요구하고 개인정보를 보호하며 모든 접근을 기록합니다.",
        },
        links=links,
    )
