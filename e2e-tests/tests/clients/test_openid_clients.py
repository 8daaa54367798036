"""oauth4webapi and openid-client use every feature of the server, with every kind of client, in and out of demo mode.

Each library has one script beside package.json, from discovery to logout. The libraries verify the responses, so a
script that ends without an error is most of the test; the remaining assertions are here.
"""

import pytest

pytestmark = pytest.mark.clients

SCOPES = "openid profile email offline_access mcp.access"
LIBRARIES = pytest.mark.parametrize("script", ["oauth4webapi.mjs", "openid_client.mjs"])
WAYS = pytest.mark.parametrize(
    ("services", "origin", "method"),
    [
        ("demo", "registered", "none"),
        ("demo", "registered", "client_secret_basic"),
        ("demo", "registered", "client_secret_post"),
        ("declared", "registered", "private_key_jwt"),
        ("declared", "declared", "client_secret_basic"),
    ],
    indirect=["services"],
)


def run_script(run_application, script, services, person, origin, method):
    """Runs the script while the user opens its URLs, and returns its report."""
    given = {
        "issuer": services.auth_url,
        "resource": f"{services.mcp_url}/mcp",
        "method": method,
        "application": named(services.application) if origin == "declared" else None,
        "initial_access_token": services.initial_access_token,
        "machine": named(services.machine),
        "signer": {"client_id": services.signer[0], "key": services.signer[1].as_dict(private=True)},
    }
    return run_application(script, given, person)


def named(credentials):
    return dict(zip(("client_id", "client_secret"), credentials, strict=True))


@LIBRARIES
@WAYS
def test_an_application_from_discovery_to_logout(run_application, services, person, script, origin, method):
    found = run_script(run_application, script, services, person, origin, method)
    if origin == "registered":
        assert found["registered"]["token_endpoint_auth_method"] == method
    assert found["iss"] == services.auth_url
    assert found["scope"] == SCOPES
    assert found["userinfo"]["preferred_username"] == services.account[0]
    assert found["rotated"]
    assert found["claims"]["sub"] == found["userinfo"]["sub"]
    assert found["claims"]["aud"] == [f"{services.mcp_url}/mcp", f"{services.auth_url}/oauth2/userinfo"]
    granted = {client_id: answer["scope"] for client_id, answer in found["machines"].items()}
    assert granted == {services.machine[0]: "mcp.access", services.signer[0]: "mcp.access"}
    assert found["active"] == [True, False]
    assert (found["signed_out"], found["silently"]) == (True, "login_required")
