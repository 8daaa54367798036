"""Several protected resources on one server: metadata, audience and tool scopes of each."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from security_common.guard import FurtherResource, ProtectedResource
from security_common.guard.guarded_paths import GuardedPaths

pytestmark = pytest.mark.anyio

BASE = "http://localhost:8083"
ALL, CRM, FILES = f"{BASE}/mcp", f"{BASE}/mcp/crm", f"{BASE}/mcp/files"
ISSUER = "http://localhost:8081"


def resource(url: str, *scopes: str) -> ProtectedResource:
    return ProtectedResource(url, [ISSUER], scopes or ("mcp.access",))


@pytest.fixture
async def gateway(guard: Callable[..., Awaitable[Any]]) -> Any:
    """A guarded server whose issuer's tokens are for one of three resources. The token names its audience itself."""
    further = (
        FurtherResource(resource(CRM), {"find": frozenset({"mcp.crm"})}),
        FurtherResource(resource(FILES, "mcp.access", "mcp.files")),
    )
    return await guard(
        resource_url=ALL,
        tool_scopes={"crm_find": frozenset({"mcp.crm"})},
        further_resources=further,
        audience=(ALL, CRM, FILES),
    )


def call(name: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name}}).encode()


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp/crm", "/mcp/crm/", "/mcp/files"])
async def test_a_token_is_accepted_only_by_the_resource_that_it_was_issued_for(gateway: Any, path: str) -> None:
    own = f"{BASE}{path.rstrip('/')}"
    for audience in (ALL, CRM, FILES):
        headers = gateway.bearer(aud=audience, scope="mcp.access mcp.files")
        answer = await gateway.http.get(gateway.url + path, headers=headers)
        assert answer.status_code == (200 if audience == own else 401)
        if audience != own:
            assert answer.json()["hint"] == f"request it with resource={own}"
            assert f'resource_metadata="{BASE}/.well-known/oauth-protected-resource{path.rstrip("/")}"' in str(
                answer.headers["www-authenticate"]
            )


async def test_a_token_for_several_resources_is_accepted_by_each_of_them(gateway: Any) -> None:
    headers = gateway.bearer(aud=[CRM, ALL])
    for path in ("/mcp", "/mcp/crm", "/mcp/crm/below", "/other"):
        assert (await gateway.http.get(gateway.url + path, headers=headers)).status_code == 200
    assert (await gateway.http.get(f"{gateway.url}/mcp/files", headers=headers)).status_code == 401


async def test_each_resource_has_its_own_metadata_and_the_root_form_describes_the_main_one(gateway: Any) -> None:
    root = f"{gateway.url}/.well-known/oauth-protected-resource"
    for path, url in (("", ALL), ("/mcp", ALL), ("/mcp/crm", CRM), ("/mcp/files/", FILES)):
        document = (await gateway.http.get(root + path)).json()
        assert document["resource"] == url
    assert (await gateway.http.get(f"{root}/mcp/unknown")).status_code == 404


@pytest.mark.parametrize(
    ("path", "audience", "tool", "status"),
    [
        ("/mcp", ALL, "crm_find", 403),
        ("/mcp", ALL, "find", 200),
        ("/mcp/crm", CRM, "find", 403),
        ("/mcp/crm", CRM, "crm_find", 200),
    ],
)
async def test_the_scopes_of_a_tool_are_those_of_the_address(
    gateway: Any, path: str, audience: str, tool: str, status: int
) -> None:
    answer = await gateway.http.post(gateway.url + path, content=call(tool), headers=gateway.bearer(aud=audience))
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["scope"] == "mcp.access mcp.crm"


async def test_the_scopes_of_a_resource_apply_below_its_path(gateway: Any) -> None:
    headers = gateway.bearer(aud=FILES)
    answer = await gateway.http.get(f"{gateway.url}/mcp/files/below", headers=headers)
    assert (answer.status_code, answer.json()["scope"]) == (403, "mcp.access mcp.files")


@pytest.mark.parametrize("url", [ALL, f"{ALL}/", CRM, "https://localhost:8083/mcp/other", "http://other:8083/mcp/o"])
def test_resources_that_cannot_be_protected_together_are_refused(url: str) -> None:
    further = [FurtherResource(resource(CRM)), FurtherResource(resource(url))]
    with pytest.raises(ValueError, match="protected resources"):
        GuardedPaths(resource(ALL), {}, further)


async def test_one_resource_accepts_the_audiences_that_its_verifier_accepts(guard: Callable[..., Any]) -> None:
    """Tokens of a foreign issuer have an audience of that issuer's own form."""
    single = await guard(audience=("api://app", ALL))
    assert (await single.http.get(f"{single.url}/mcp", headers=single.bearer(aud="api://app"))).status_code == 200
