"""What `/` says to a person who opens it in a browser."""

from security_common.guard.policy import PROTECTED_RESOURCE_METADATA_PATH
from security_common.service.api_docs import DOCS_PATH
from security_common.service.browser_pages import StartPage, StartPageLink

__all__ = ["make_start_page"]


def make_start_page(
    *, origin: str, resource: str, issuer: str, has_audit_page: bool, shows_api_docs: bool
) -> StartPage:
    """`resource` is the address of the MCP endpoint, and `origin` that of the service."""
    links = [
        StartPageLink({"en": "For your MCP client", "ko": "MCP 클라이언트에 등록할 주소"}, resource, is_page=False)
    ]
    if has_audit_page:
        links.append(StartPageLink({"en": "Audit trail", "ko": "감사 기록"}, f"{origin}/audit"))
    links += [
        StartPageLink({"en": "Sign-in", "ko": "로그인"}, f"{issuer}/"),
        StartPageLink(
            {"en": "Metadata of the resource", "ko": "리소스 메타데이터"}, origin + PROTECTED_RESOURCE_METADATA_PATH
        ),
    ]
    if shows_api_docs:
        links.append(StartPageLink({"en": "HTTP API", "ko": "HTTP API 문서"}, origin + DOCS_PATH))
    return StartPage(
        name="mcp-resource-service",
        title={"en": "MCP server", "ko": "MCP 서버"},
        purpose={
            "en": "Tools for AI agents, with personal data protected and every access on record.",
            "ko": "AI 에이전트에 도구를 제공하는 서버입니다. 개인정보를 보호하고 모든 접근을 기록합니다.",
        },
        links=links,
    )
