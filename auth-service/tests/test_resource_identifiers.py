"""Item 51: resource identifiers are compared after RFC 3986 normalization; one trailing slash is ignored."""

from pathlib import Path

import jwt
import pytest
from bad_input import demo
from running_auth import Service, StartService
from signing_in import RESOURCE, Person, Request, redeem, refresh, sent_to_client

from auth_service.declaration import DeclarationInvalid
from auth_service.errors import InvalidTarget
from auth_service.tokens.resources import comparison_key

SAME = (
    RESOURCE,
    "http://localhost:8082/mcp/",
    "HTTP://LOCALHOST:8082/mcp",
    "http://localhost:08082/mcp",
    "http://localhost:8082/./mcp",
    "http://localhost:8082/other/../mcp",
    "http://localhost:8082/%6Dcp",
    "http://localhost:8082/x/%2e%2E/mcp/",
)
DIFFERENT = (
    "http://localhost:8082",
    "http://localhost:8082/",
    "http://localhost:8082/mcp//",
    "http://localhost:8082//mcp",
    "http://localhost:8082/MCP",
    "http://localhost:8082/mcp/x",
    "http://localhost:8082/mcp?",
    "http://localhost:8082/mcp?a=1",
    "http://localhost:8082/mcp%2F",
    "http://localhost:80/mcp",
    "https://localhost:8082/mcp",
    "http://user@localhost:8082/mcp",
    "http://localhost.:8082/mcp",
    "http://localhost:8082/mcp/..",
)
MALFORMED = (
    "/mcp",
    "mcp",
    "http://localhost:8082/mcp#",
    "http://localhost:8082/m\ncp",
    "http://localhost:8082/m\tcp",
    "http://localhost:8082/mcp ",
    " http://localhost:8082/mcp",
    "http://localhost:8082\\mcp",
    "http://localhost:8082/m%zzcp",
    "http://localhost:8082/mcpé",
    "http://localhost:x/mcp",
    "http://[::1/mcp",
    "http:///mcp",
    "urn:x",
)


@pytest.mark.parametrize("resource", SAME)
def test_another_spelling_gets_a_token_for_the_declared_one(service: Service, resource: str) -> None:
    answer = service.http.post("/oauth2/token", data=demo(resource=resource))
    assert answer.status_code == 200, answer.text
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert claims["aud"] == [RESOURCE, "mcp-client"]


@pytest.mark.parametrize("resource", DIFFERENT)
def test_another_resource_is_refused_and_the_error_names_the_right_one(service: Service, resource: str) -> None:
    answer = service.http.post("/oauth2/token", data=demo(resource=resource))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
    assert answer.json()["error_description"].endswith(f"send {RESOURCE}")


@pytest.mark.parametrize("resource", MALFORMED)
def test_a_relative_or_invalid_uri_is_refused(service: Service, resource: str) -> None:
    with pytest.raises(InvalidTarget):
        comparison_key(resource)
    answer = service.http.post("/oauth2/token", data=demo(resource=resource))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")


def test_two_spellings_of_one_resource_are_one_resource(service: Service) -> None:
    form = {**demo(), "resource": [RESOURCE, f"{RESOURCE}/"]}
    assert service.http.post("/oauth2/token", data=form).status_code == 200


def test_each_step_of_a_sign_in_may_use_another_spelling(people: Service, person: Person) -> None:
    request = Request("app", {"resource": f"{RESOURCE}/", "scope": "offline_access mcp.access"})
    tokens = redeem(people.http, request, person.grant(request)["code"], resource="HTTP://localhost:8082/mcp")
    assert tokens.status_code == 200, tokens.text
    again = refresh(people.http, "app", tokens.json()["refresh_token"], resource=f"{RESOURCE}/")
    assert again.status_code == 200, again.text
    claims = jwt.decode(again.json()["access_token"], options={"verify_signature": False})
    assert claims["aud"] == RESOURCE
    refused = refresh(people.http, "app", again.json()["refresh_token"], resource="http://localhost:8082")
    assert (refused.json()["error"], RESOURCE in refused.json()["error_description"]) == ("invalid_target", True)


def test_the_origin_alone_is_refused_at_the_authorization_endpoint(people: Service) -> None:
    answer = sent_to_client(people.http.get(Request("app", {"resource": "http://localhost:8082/"}).path))
    assert (answer["error"], RESOURCE in answer["error_description"]) == ("invalid_target", True)


TWO = """
resources:
  - {{url: "https://mcp.example/mcp", default: true, scopes: {{mcp.access: {{ko: 가, en: a}}}}}}
  - {{url: "{second}", scopes: {{mcp.access: {{ko: 가, en: a}}}}}}
clients:
  - {{client_id: mcp-client, secret_file: secret}}
  - {{client_id: one, secret_file: secret, resources: ["{own}"]}}
"""


def start(start_service: StartService, folder: Path, second: str, own: str) -> Service:
    (folder / "secret").write_text("secret")
    (folder / "auth.yaml").write_text(TWO.format(second=second, own=own))
    return start_service(config=folder / "auth.yaml")


@pytest.mark.parametrize("second", ["https://mcp.example/mcp/", "https://MCP.example:443/x/../mcp", "no uri"])
def test_two_declared_resources_must_differ_after_normalization(
    start_service: StartService, tmp_path: Path, second: str
) -> None:
    with pytest.raises(DeclarationInvalid) as refused:
        start(start_service, tmp_path, second, "https://mcp.example/mcp")
    assert second in refused.value.description
    assert refused.value.hint


def test_a_client_may_only_have_declared_resources(start_service: StartService, tmp_path: Path) -> None:
    with pytest.raises(DeclarationInvalid, match=r"client one: .*https://mcp\.example/third"):
        start(start_service, tmp_path, "https://mcp.example/other", "https://mcp.example/third")


def test_a_client_keeps_to_its_own_resource_and_sees_the_tokens_for_it(
    start_service: StartService, tmp_path: Path
) -> None:
    """The client names its resource in another spelling than the resource is declared in."""
    service = start(start_service, tmp_path, "https://mcp.example/other/", "https://MCP.example/other")
    form = {"grant_type": "client_credentials", "client_id": "one", "client_secret": "secret"}
    token = service.http.post("/oauth2/token", data=form).json()["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["aud"] == "https://mcp.example/other/"
    refused = service.http.post("/oauth2/token", data={**form, "resource": "https://mcp.example/mcp"})
    assert (refused.json()["error"], "send https://mcp.example/other/" in refused.text) == ("invalid_target", True)
    foreign = service.http.post("/oauth2/token", data=demo(resource="https://mcp.example/other")).json()["access_token"]
    seen = service.http.post("/oauth2/introspect", data={"token": foreign}, auth=("one", "secret")).json()
    assert (seen["active"], seen["client_id"]) == (True, "mcp-client")
