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


def make_start_page(*, origin: str, resource: str, issuer: str, shows_api_docs: bool) -> StartPage:
    """`resource` is the address of all upstreams together. Their names are only shown to callers with a token."""
    links = [
        link_to_client_address(resource),
        link_to_sign_in(issuer),
        StartPageLink(
            {"en": "Metadata of the resource", "ko": "리소스 메타데이터"}, origin + PROTECTED_RESOURCE_METADATA_PATH
        ),
    ]
    if shows_api_docs:
        links.append(link_to_api_docs(origin))
    return StartPage(
        name="gateway-service",
        title={"en": "Gateway to MCP servers", "ko": "MCP 게이트웨이"},
        purpose={
            "en": "MCP servers behind sign-in, with a policy for personal data and every access on record.",
            "ko": "MCP 서버 앞에서 로그인을 요구하고 개인정보를 보호하며 모든 접근을 기록합니다.",
        },
        links=links,
    )
