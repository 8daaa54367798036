"""Requests that the OpenAPI document allows, and others that it does not: no endpoint answers with a 5xx status."""

from collections.abc import Mapping
from typing import Any

import pytest
import schemathesis
from bad_input import basic
from hypothesis import HealthCheck, given, settings
from running_auth import Service, StartService
from schemathesis import Case, GenerationMode

# A tenth of the examples of the Hypothesis profile for each endpoint; the profile `deep` makes many.
EXAMPLES = settings(deadline=None, suppress_health_check=list(HealthCheck))

# The endpoints with client authentication, and the parameters of it.
PROVEN = ("/oauth2/token", "/oauth2/revoke", "/oauth2/introspect")
CREDENTIALS = ("client_id", "client_secret", "client_assertion", "client_assertion_type")


@pytest.fixture(scope="module", params=["demo", "declared"])
def ground(
    request: pytest.FixtureRequest, start_service: StartService, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    """In demo mode, and without it with a declared client of the same name."""
    directory = tmp_path_factory.mktemp("declaration")
    (directory / "secret").write_text("secret")
    (directory / "auth.yaml").write_text("clients: [{client_id: mcp-client, secret_file: secret}]")
    return start_service(config=directory / "auth.yaml", demo=request.param == "demo")


@pytest.mark.parametrize("who", [None, ("mcp-client", "secret")], ids=["no client", "a client"])
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_input_is_a_server_error(ground: Service, mode: GenerationMode, who: tuple[str, str] | None) -> None:
    """Without a client, and with an authenticated one, so that the code behind the authentication is reached."""
    document = ground.http.get("/openapi.json").json()
    assert document["paths"].keys() == ground.paths
    schema = schemathesis.openapi.from_dict(document)
    address = f"http://127.0.0.1:{ground.settings.port}"
    for found in schema.get_all_operations():
        operation = found.ok()
        if who is not None and operation.path not in PROVEN:
            continue
        if mode is GenerationMode.NEGATIVE and not can_be_wrong(operation.definition.raw):
            continue

        @settings(EXAMPLES, max_examples=EXAMPLES.max_examples // 10)
        @given(case=operation.as_strategy(generation_mode=mode))
        def answers_below_500(case: Case) -> None:
            if who is not None and case.path in PROVEN:
                case.headers = {**(case.headers or {}), "authorization": basic(*who)["authorization"]}
                if isinstance(case.body, dict):
                    case.body = {name: value for name, value in case.body.items() if name not in CREDENTIALS}
            answer = case.call(base_url=address)
            assert answer.status_code < 500, answer.text

        answers_below_500()


def can_be_wrong(operation: Mapping[str, Any]) -> bool:
    """An operation without required parameters has no invalid input: any text is valid."""
    content = operation.get("requestBody", {}).get("content", {})
    return any(media["schema"].get("required") for media in content.values())
