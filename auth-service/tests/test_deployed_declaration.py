"""deploy/auth.yaml: the recipe for secrets in it, and a token with curl."""

import json
import subprocess
from pathlib import Path

import jwt
import pytest
from running_auth import Service, StartService
from signing_in import Person, Request

DECLARATION = Path(__file__).parents[2] / "deploy/auth.yaml"
RECIPE = "openssl rand -hex 32"
NAMES = ("mcp-client", "example-app", "initial-access-token")


@pytest.fixture(scope="module")
def deployed(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> tuple[Service, dict[str, str]]:
    """The service with this declaration, and with secrets from the recipe in it."""
    assert RECIPE in DECLARATION.read_text()
    folder = tmp_path_factory.mktemp("deployed")
    (folder / "auth.yaml").write_text(DECLARATION.read_text())
    (folder / "secrets").mkdir()
    for name in NAMES:
        made = subprocess.run(RECIPE.split(), check=True, capture_output=True, text=True).stdout
        (folder / "secrets" / name).write_text(made)
    service = start_service(config=folder / "auth.yaml", demo=False, resource="https://mcp.example.com/mcp")
    return service, {name: (folder / "secrets" / name).read_text().strip() for name in NAMES}


def curl(service: Service, path: str, *arguments: str) -> dict[str, object]:
    address = f"http://127.0.0.1:{service.settings.port}{path}"
    printed = subprocess.run(["curl", "-sS", *arguments, address], check=True, capture_output=True, text=True)
    return json.loads(printed.stdout)


@pytest.mark.parametrize("way", ["header", "body"])
def test_the_machine_client_gets_a_token_for_api_management(deployed: tuple[Service, dict[str, str]], way: str) -> None:
    service, secrets = deployed
    secret = secrets["mcp-client"]
    ways = {
        "header": ["-u", f"mcp-client:{secret}"],
        "body": ["-d", "client_id=mcp-client", "--data-urlencode", f"client_secret={secret}"],
    }
    answer = curl(service, "/oauth2/token", "-d", "grant_type=client_credentials", *ways[way])
    claims = jwt.decode(str(answer["access_token"]), options={"verify_signature": False})
    assert claims["aud"] == ["https://mcp.example.com/mcp", "mcp-client"]


def test_the_application_is_known_with_its_redirect(deployed: tuple[Service, dict[str, str]]) -> None:
    service, _secrets = deployed
    person = Person(f"http://127.0.0.1:{service.settings.port}")
    request = Request("example-app", {"redirect_uri": "https://app.example.com/callback", "scope": "mcp.access"})
    assert person.open(request.path).status_code == 200
    person.http.close()


def test_a_client_registers_with_the_initial_access_token(deployed: tuple[Service, dict[str, str]]) -> None:
    service, secrets = deployed
    body = json.dumps({"client_name": "Example", "redirect_uris": ["http://localhost/callback"]})
    sent = ("-H", "content-type: application/json", "-d", body)
    token = secrets["initial-access-token"]
    assert curl(service, "/oauth2/register", *sent)["error"] == "invalid_token"
    assert curl(service, "/oauth2/register", *sent, "-H", f"authorization: Bearer {token}")["client_id"]
