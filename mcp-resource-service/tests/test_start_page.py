"""Pages for browsers at the resource service and the authorization server; programs get JSON."""

import pytest

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8", "accept-language": "ko"}


def test_the_start_page_names_the_address_for_clients_and_the_audit_page(api):
    page = api.http.get(f"{api.mcp_url}/", headers=BROWSER)
    assert page.status_code == 200
    assert "MCP 클라이언트에 등록할 주소" in page.text
    assert f"<code>{api.mcp_url}/mcp</code>" in page.text
    assert f'href="{api.mcp_url}/audit"' in page.text
    assert f'href="{api.auth_url}/"' in page.text
    assert "서비스가 정상입니다." in page.text


def test_the_start_page_of_the_authorization_server(api):
    page = api.http.get(f"{api.auth_url}/", headers=BROWSER)
    assert page.status_code == 200
    assert f"<code>{api.mcp_url}/mcp</code>" in page.text
    assert f'href="{api.auth_url}/account"' in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.parametrize("path", ["/", "/hello", "/mcp"])
def test_a_program_without_a_token_gets_a_challenge(api, path):
    response = api.http.get(f"{api.mcp_url}{path}")
    assert response.status_code == 401
    assert response.json()["error"] == "missing_token"
    assert "resource_metadata" in response.headers["www-authenticate"]


def test_a_browser_at_the_mcp_endpoint_gets_a_page_with_the_challenge(api):
    page = api.http.get(f"{api.mcp_url}/mcp", headers=BROWSER)
    assert page.status_code == 401
    assert "프로그램이 사용하는 주소입니다" in page.text
    assert "resource_metadata" in page.headers["www-authenticate"]


def test_an_unknown_path_of_the_authorization_server_is_a_page(api):
    page = api.http.get(f"{api.auth_url}/no-such-page", headers=BROWSER)
    assert (page.status_code, "페이지를 찾을 수 없습니다" in page.text) == (404, True)
    assert api.http.get(f"{api.auth_url}/no-such-page").json()["error"] == "not_found"
