"""The TypeScript server of docs/verify-tokens.md verifies tokens of a running auth-service."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import yaml

from local_stack.fences import read_fences
from local_stack.ports import StackPorts, free_ports
from local_stack.stack import AUTH, REDIS, Stack

pytestmark = pytest.mark.clients

PAGE = Path(__file__).resolve().parents[3] / "docs/verify-tokens.md"
PACKAGES = Path(__file__).resolve().parents[2] / "clients/node_modules"
RESOURCE = "https://orders.example.com/api"
OTHER_RESOURCE = "https://other.example.com/api"
CLIENT = ("nightly-report", "secret-of-the-nightly-report")
MAX_SECONDS = 60


@dataclass(frozen=True)
class OrderServer:
    """auth-service with the declaration of the page, and the server of the page."""

    stack: Stack
    url: str
    http: httpx2.Client

    def request(self, token: str) -> httpx2.Response:
        return self.http.get(self.url, headers={"authorization": f"Bearer {token}"})

    def token(self, *, scope: str = "orders.read", resource: str = RESOURCE) -> str:
        form = {"grant_type": "client_credentials", "scope": scope, "resource": resource}
        answer = self.http.post(f"{self.stack.auth_url}/oauth2/token", data=form, auth=CLIENT)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def command(self, *words: str) -> None:
        program = str(Path(sys.executable).with_name(AUTH))
        subprocess.run([program, *words], env=self.stack.environment(AUTH), check=True, capture_output=True)


@pytest.fixture(scope="module")
def orders(node: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrderServer]:
    folder = tmp_path_factory.mktemp("orders")
    save_page(folder)
    overrides = {"AUTH_CONFIG": str(folder / "auth.yaml"), "AUTH_STATUS_LIST_TTL_SECONDS": "1"}
    stack = Stack(StackPorts.ephemeral(), folder / "stack", overrides, demo=False)
    (port,) = free_ports(1)
    try:
        stack.start(REDIS, AUTH)
        command = [str(node), str(folder / "server.ts"), stack.issuer, RESOURCE, str(port)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server, httpx2.Client(timeout=20) as http:
            try:
                url = f"http://127.0.0.1:{port}"
                wait_until_listening(http, url)
                yield OrderServer(stack, url, http)
            finally:
                server.terminate()
    finally:
        stack.stop()


def save_page(folder: Path) -> None:
    """The files of the page, the secret that its declaration names, and the packages that its code imports."""
    fences = read_fences(PAGE)
    for fence in fences:
        if fence.file_name:
            (folder / fence.file_name).write_text(fence.text, encoding="utf-8")
    (declaration,) = [yaml.safe_load(fence.text) for fence in fences if fence.language == "yaml"]
    declaration["resources"].append({"url": OTHER_RESOURCE, "scopes": {"orders.read": {"en": "Read", "ko": "조회"}}})
    (folder / "auth.yaml").write_text(yaml.safe_dump(declaration), encoding="utf-8")
    (folder / "secrets").mkdir()
    (folder / "secrets" / CLIENT[0]).write_text(CLIENT[1])
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(PACKAGES)


def wait_until_listening(http: httpx2.Client, url: str) -> None:
    deadline = time.monotonic() + MAX_SECONDS
    while True:
        try:
            http.get(url)
        except httpx2.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def test_a_token_for_this_server_is_accepted(orders: OrderServer) -> None:
    answer = orders.request(orders.token())
    assert answer.status_code == 200
    assert answer.json()["caller"] == CLIENT[0]


def test_a_token_without_the_scope_is_a_403(orders: OrderServer) -> None:
    answer = orders.request(orders.token(scope="orders.write"))
    assert (answer.status_code, "insufficient_scope" in answer.headers["www-authenticate"]) == (403, True)


def test_a_request_without_a_token_is_refused(orders: OrderServer) -> None:
    answer = orders.http.get(orders.url)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_other_tokens_are_refused(orders: OrderServer) -> None:
    token = orders.token()
    header, claims, signature = token.split(".")
    status_list = orders.http.get(decoded(claims)["status"]["status_list"]["uri"]).text
    refused = {
        "no JWT": "garbage",
        "alg none": f"{encoded({**decoded(header), 'alg': 'none'})}.{claims}.",
        "other claims": f"{header}.{encoded({**decoded(claims), 'scope': 'orders.read orders.write'})}.{signature}",
        "unknown key": f"{encoded({**decoded(header), 'kid': 'other'})}.{claims}.{signature}",
        "another kind of JWT": status_list,
        "another audience": orders.token(resource=OTHER_RESOURCE),
    }
    assert {name: orders.request(each).status_code for name, each in refused.items()} == dict.fromkeys(refused, 401)


def decoded(part: str) -> dict[str, object]:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def encoded(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_a_new_signing_key_is_accepted_at_once(orders: OrderServer) -> None:
    revoked = key_of(orders.token())
    orders.command("key", "revoke", revoked)
    deadline = time.monotonic() + MAX_SECONDS
    while key_of(token := orders.token()) == revoked:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert orders.request(token).status_code == 200


def key_of(token: str) -> str:
    return str(decoded(token.split(".", maxsplit=1)[0])["kid"])


def test_a_revoked_token_is_refused_by_the_status_list(orders: OrderServer) -> None:
    token = orders.token()
    assert orders.request(token).status_code == 200
    revoked = orders.http.post(f"{orders.stack.auth_url}/oauth2/revoke", data={"token": token}, auth=CLIENT)
    assert revoked.status_code == 200
    deadline = time.monotonic() + MAX_SECONDS
    while (status := orders.request(token).status_code) != 401:
        assert status == 200
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert orders.request(orders.token()).status_code == 200, "a token that was issued after the revocation"


def test_the_last_list_is_used_while_auth_service_does_not_answer(orders: OrderServer) -> None:
    token = orders.token()
    assert orders.request(token).status_code == 200
    orders.stack.kill(AUTH)
    try:
        assert orders.request(token).status_code == 200
    finally:
        orders.stack.start_one(AUTH)
        orders.stack.wait_until_ready(AUTH)
