"""The OpenAPI document and its page."""

import pytest

PATHS = {
    "/": {"get"},
    "/hello": {"get"},
    "/mcp": {"post"},
    "/livez": {"get"},
    "/readyz": {"get"},
    "/audit": {"get"},
    "/audit/events/{cursor}": {"get"},
    "/audit/sign-in": {"get"},
    "/audit/callback": {"get"},
    "/audit/signed-out": {"get"},
    "/audit/sign-out": {"post"},
    "/audit/export": {"post"},
}


@pytest.fixture
def document(world):
    response = world.get("/openapi.json")
    assert response.status_code == 200
    return response.json()


def test_the_document_describes_every_endpoint_without_a_token(document, world):
    assert {path: set(operations) for path, operations in document["paths"].items()} == PATHS
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    assert document["servers"] == [{"url": world.mcp_url}]
    for path, operations in PATHS.items():
        for method in operations:
            response = world.http.request(method, world.mcp_url + path.replace("{cursor}", "1-1"))
            assert response.status_code not in {404, 405, 500}, (method, path)


def test_operations_with_a_token_name_the_scheme_and_their_refusals(document, world):
    (scheme,) = document["components"]["securitySchemes"].values()
    assert scheme["openIdConnectUrl"] == f"{world.auth_url}/.well-known/openid-configuration"
    for path, method in (("/", "get"), ("/hello", "get"), ("/mcp", "post")):
        operation = document["paths"][path][method]
        assert [list(each.values()) for each in operation["security"]] == [[["mcp.access"]]]
        assert set(operation["responses"]) == {"200", "401", "403", "429", "503"}
        assert world.http.request(method, world.mcp_url + path).status_code == 401


def test_the_document_has_the_parameters_of_the_audit_page(document):
    overview = document["paths"]["/audit"]["get"]
    assert {each["name"] for each in overview["parameters"]} >= {"language", "period", "outcome", "after"}
    assert all(each["description"] for each in overview["parameters"])
    event = document["paths"]["/audit/events/{cursor}"]["get"]
    assert [each["in"] for each in event["parameters"] if each["name"] == "cursor"] == ["path"]
    form = document["paths"]["/audit/export"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
    assert set(form["schema"]["required"]) == {"format", "reason"}


def test_head_is_answered_like_get(world):
    for path in ("/livez", "/audit", "/audit/style.css", "/favicon.ico"):
        assert world.http.head(world.mcp_url + path).status_code == world.get(path).status_code
    hello = world.http.head(f"{world.mcp_url}/hello", headers={"Authorization": f"Bearer {world.token}"})
    assert (hello.status_code, hello.content) == (200, b"")


def test_the_documentation_page_is_served_in_demo_mode(world):
    page = world.get("/docs")
    assert page.status_code == 200
    assert "://" not in page.text
