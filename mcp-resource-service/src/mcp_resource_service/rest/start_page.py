"""The content of the start page, which browsers get at `/`."""

from security_common.guard.policy import PROTECTED_RESOURCE_METADATA_PATH
from security_common.service.browser_pages import (
    StartPage,
    StartPageLink,
    link_to_api_docs,
    link_to_client_address,
    link_to_sign_in,
)

__all__ = ["make_start_page"]


def make_start_page(
    *, origin: str, resource: str, issuer: str, has_audit_page: bool, shows_api_docs: bool
) -> StartPage:
    """`resource` is the address of the MCP endpoint, and `origin` that of the service."""
    links = [link_to_client_address(resource)]
    if has_audit_page:
        links.append(StartPageLink({"en": "Audit trail", "ko": "감사 기록"}, f"{origin}/audit"))
    links += [
        link_to_sign_in(issuer),
        StartPageLink(
            {"en": "Metadata of the resource", "ko": "리소스 메타데이터"}, origin + PROTECTED_RESOURCE_METADATA_PATH
        ),
    ]
    if shows_api_docs:
        links.append(link_to_api_docs(origin))
    return StartPage(
        name="mcp-resource-service",
        title={"en": "MCP server", "ko": "MCP 서버"},
        purpose={
            "en": "Tools for AI agents, with personal data protected and every access on record.",
            "ko": "AI 에이전트에 도구를 제공하는 서버입니다. 개인정보를 보호하고 모든 접근을 기록합니다.",
        },
        links=links,
    )
