"""From the address of the server alone to a token that any verifier accepts."""

import json
import time
from typing import Any

import jwt
import pytest
from joserfc import jwt as jose
from joserfc.jwk import KeySet
from running_auth import Service, StartService

DEMO = {"grant_type": "client_credentials", "client_id": "mcp-client", "client_secret": "secret", "scope": "mcp.access"}
RESOURCE = "http://localhost:8082/mcp"


def test_the_curl_command_of_the_readme_returns_a_token(service: Service) -> None:
    answer = service.http.post("/oauth2/token", data=DEMO)
    assert answer.status_code == 200
    members = answer.json()
    assert members.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (members["token_type"], members["expires_in"], members["scope"]) == ("Bearer", 1800, "mcp.access")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"


def test_basic_authentication_returns_a_token(service: Service) -> None:
    form = {"grant_type": "client_credentials"}
    answer = service.http.post("/oauth2/token", data=form, auth=("mcp-client", "secret"))
    assert answer.status_code == 200
    assert answer.json()["scope"] == "mcp.access"


def test_the_access_token_has_the_claims_of_rfc_9068_and_a_status(service: Service) -> None:
    token = service.http.post("/oauth2/token", data=DEMO).json()["access_token"]
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (header["alg"], header["typ"]) == ("RS256", "at+jwt")
    assert claims.keys() == {"iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti", "status"}
    assert claims["iss"] == service.issuer
    assert claims["sub"] == claims["client_id"] == "mcp-client"
    assert claims["aud"] == [RESOURCE, "mcp-client"]
    assert claims["exp"] - claims["iat"] == 1800
    assert abs(claims["iat"] - time.time()) < 60


def test_two_libraries_verify_the_token_with_discovery_alone(service: Service) -> None:
    token = service.http.post("/oauth2/token", data=DEMO).json()["access_token"]
    metadata = service.http.get("/.well-known/openid-configuration").json()
    keys = service.http.get(metadata["jwks_uri"].removeprefix(service.issuer)).json()
    decoded = jose.decode(token, KeySet.import_key_set(keys), algorithms=["RS256"])
    assert decoded.claims["iss"] == metadata["issuer"]
    key = jwt.PyJWKSet.from_dict(keys)[decoded.header["kid"]]
    jwt.decode(token, key, algorithms=["RS256"], audience=RESOURCE, issuer=metadata["issuer"])


def test_both_metadata_documents_are_equal_and_advertise_only_what_is_served(service: Service) -> None:
    first = service.http.get("/.well-known/oauth-authorization-server")
    second = service.http.get("/.well-known/openid-configuration")
    assert first.content == second.content
    metadata = first.json()
    assert metadata["issuer"] == service.issuer
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert "none" in metadata["token_endpoint_auth_methods_supported"]
    for name, address in metadata.items():
        if name.endswith("_endpoint"):
            path = address.removeprefix(service.issuer)
            assert service.http.get(path).status_code != 404, f"{name} is advertised but not there"


def test_items_133_134_and_135_the_key_set_has_public_keys_only_and_an_etag(
    start_service: StartService, own_redis: tuple[str, Any]
) -> None:
    # In the shared database, a service whose clock is weeks ahead may have rotated the keys.
    service = start_service(redis_url=own_redis[0])
    answer = service.http.get("/.well-known/jwks.json")
    keys = answer.json()["keys"]
    assert all(key.keys() == {"kty", "use", "alg", "kid", "n", "e"} for key in keys)
    assert len({key["kid"] for key in keys}) == len(keys) == 2, "the active key and the next one"
    thumbprints = {KeySet.import_key_set({"keys": [key]}).keys[0].thumbprint() for key in keys}
    assert thumbprints == {key["kid"] for key in keys}
    for known in (answer.headers["etag"], "*"):
        unchanged = service.http.get("/.well-known/jwks.json", headers={"If-None-Match": known})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
    head = service.http.head("/.well-known/jwks.json")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]
    assert service.http.post("/.well-known/jwks.json").status_code == 405


def test_the_root_is_401_with_the_address_of_the_token_endpoint(service: Service) -> None:
    answer = service.http.get("/")
    assert answer.status_code == 401
    assert answer.json()["resource"] == RESOURCE
    assert answer.json()["token_endpoint"] == f"{service.issuer}/oauth2/token"


@pytest.mark.parametrize("path", ["/hello", "/mcp"])
def test_paths_of_the_resource_service_are_404_with_its_address(service: Service, path: str) -> None:
    answer = service.http.get(path)
    assert answer.status_code == 404
    assert answer.json()["resource"] == RESOURCE


def test_the_service_is_live_and_ready(service: Service) -> None:
    assert service.http.get("/livez").json() == {"status": "alive"}
    ready = service.http.get("/readyz")
    assert ready.status_code == 200
    assert all(check["ok"] for check in ready.json()["checks"].values())


def test_item_136_the_host_header_does_not_change_any_address(service: Service) -> None:
    """Even for a path with an additional slash: a redirect would go to the host that the header names."""
    for served in service.paths:
        for path in (served, f"{served}/"):
            for method in ("GET", "POST"):
                answer = service.http.request(method, path, headers={"Host": "evil.example"})
                assert "evil" not in f"{answer.headers}{answer.text}", path


@pytest.mark.parametrize("document", ["oauth-authorization-server", "openid-configuration"])
def test_item_137_an_issuer_without_a_path_has_no_metadata_below_a_path(service: Service, document: str) -> None:
    """The settings refuse an issuer with a path, so metadata there would belong to no issuer."""
    assert service.http.get(f"/.well-known/{document}").status_code == 200
    for path in ("/tenant", "/tenant/", "/.."):
        answer = service.http.get(f"/.well-known/{document}{path}")
        assert answer.status_code == 404
        assert answer.json().keys() == {"error", "error_description", "resource"}


def test_the_openapi_document_lists_every_route(service: Service) -> None:
    document = service.http.get("/openapi.json").json()
    assert document["paths"].keys() == service.paths
    for path, item in document["paths"].items():
        answered = set(service.http.put(path).headers["allow"].split(", "))
        assert answered - {"HEAD"} == {method.upper() for method in item}


def test_issued_and_refused_tokens_are_recorded_without_secret_or_token(start_service: StartService) -> None:
    service = start_service()
    token = service.http.post("/oauth2/token", data=DEMO).json()["access_token"]
    service.http.post("/oauth2/token", data={**DEMO, "client_secret": "a wrong guess"})
    service.http.post("/oauth2/token", data={**DEMO, "scope": "mcp.audit"})
    text = "".join(path.read_text() for path in service.settings.security.audit_dir.rglob("security_audit.log"))
    events = [json.loads(line) for line in text.splitlines()]
    issued = next(event for event in events if event["event_type"] == "token_issued")
    assert (issued["client_id"], issued["user_id"]) == ("mcp-client", "mcp-client")
    refused = [(event["event_type"], event["reason"]) for event in events if event["outcome"] == "refused"]
    assert refused == [("client_refused", "invalid_client"), ("token_refused", "invalid_scope")]
    assert "a wrong guess" not in text
    assert token not in text
    assert token.rpartition(".")[2] not in text
