"""The OpenAPI document and its page."""

import re

import pytest

from local_stack.stack import start_stack

PATHS = {
    "/.well-known/oauth-protected-resource": {"get"},
    "/.well-known/oauth-protected-resource/mcp": {"get"},
    "/openapi.json": {"get"},
    "/favicon.ico": {"get"},
    "/": {"get"},
    "/hello": {"get"},
    "/mcp": {"post"},
    "/livez": {"get"},
    "/readyz": {"get"},
    "/audit": {"get"},
    "/audit/events/{cursor}": {"get"},
    "/audit/review": {"get"},
    "/audit/sign-in": {"get"},
    "/audit/callback": {"get"},
    "/audit/signed-out": {"get"},
    "/audit/sign-out": {"post"},
    "/audit/export": {"post"},
}


@pytest.fixture
def document(api):
    response = api.get("/openapi.json")
    assert response.status_code == 200
    return response.json()


def test_the_document_describes_every_endpoint_without_a_token(document, api):
    assert {path: set(operations) for path, operations in document["paths"].items()} == PATHS
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    assert document["servers"] == [{"url": api.mcp_url}]
    for path, operations in PATHS.items():
        for method in operations:
            response = api.http.request(method, api.mcp_url + path.replace("{cursor}", "1-1"))
            assert response.status_code not in {404, 405, 500}, (method, path)


def test_operations_with_a_token_name_the_scheme_and_their_refusals(document, api):
    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for components in document["components"].values():
        assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", key) for key in components)
    for path, method in (("/", "get"), ("/hello", "get"), ("/mcp", "post")):
        operation = document["paths"][path][method]
        assert [list(each.values()) for each in operation["security"]] == [[["mcp.access"]]]
        of_body = {"408", "413"} if method == "post" else set[str]()
        assert set(operation["responses"]) == {"200", "400", "401", "403", "421", "429", "503"} | of_body
        assert api.http.request(method, api.mcp_url + path).status_code == 401


def test_the_document_has_the_parameters_of_the_audit_page(document):
    overview = document["paths"]["/audit"]["get"]
    assert {each["name"] for each in overview["parameters"]} >= {"language", "period", "outcome", "after"}
    assert all(each["description"] for each in overview["parameters"])
    event = document["paths"]["/audit/events/{cursor}"]["get"]
    assert [each["in"] for each in event["parameters"] if each["name"] == "cursor"] == ["path"]
    form = document["paths"]["/audit/export"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
    assert set(form["schema"]["required"]) == {"format", "reason"}


def test_head_is_answered_like_get(api):
    for path in ("/livez", "/audit", "/audit/style.css", "/favicon.ico", "/docs", "/docs/start.js"):
        assert api.http.head(api.mcp_url + path).status_code == api.get(path).status_code
    hello = api.http.head(f"{api.mcp_url}/hello", headers={"Authorization": f"Bearer {api.token}"})
    assert (hello.status_code, hello.content) == (200, b"")


def test_the_documentation_page_is_served_in_demo_mode(api):
    page = api.get("/docs")
    assert page.status_code == 200
    assert "://" not in page.text


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("POST", "/livez", 405, "GET, HEAD"),
        ("POST", "/docs", 405, "GET, HEAD"),
        ("DELETE", "/hello", 405, "GET, HEAD"),
        ("GET", "/docs/", 404, None),
        ("GET", "/docs/nothing.js", 404, None),
        ("GET", "/nope", 404, None),
    ],
)
def test_unknown_paths_and_methods_are_answered_like_other_refusals(api, method, path, status, allowed):
    response = api.http.request(method, api.mcp_url + path, headers={"Authorization": f"Bearer {api.token}"})
    assert response.status_code == status
    assert set(response.json()) == {"error", "error_description", "hint"}
    assert (response.headers["cache-control"], response.headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert response.headers.get("allow") == allowed


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [("GET", "/audit/nothing", 404, None), ("POST", "/audit", 405, "GET, HEAD"), ("GET", "/audit/export", 405, "POST")],
)
def test_errors_below_the_audit_page_are_pages(api, method, path, status, allowed):
    response = api.http.request(method, api.mcp_url + path, headers={"Accept-Language": "ko"})
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert 'lang="ko"' in response.text
    assert (response.headers["cache-control"], response.headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers.get("allow") == allowed


def test_a_path_of_the_documentation_needs_a_token_while_it_is_off(tmp_path, api):
    with start_stack(tmp_path / "stack", overrides={"MCP_API_DOCS": "false"}) as stack:
        assert api.http.get(f"{stack.mcp_url}/docs").status_code == 401
