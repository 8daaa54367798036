"""Redis restarts without its data: no new keys are created silently, and every command and probe reports it."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
import redis

from local_stack.command_server import run_command
from local_stack.demo_scenario import ServicesApi
from local_stack.ports import LOOPBACK
from local_stack.stack import AUTH, MCP, REDIS, Stack, start_stack

REPLACED = "this Redis is not the one that was used before"


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    with start_stack(tmp_path / "stack") as running:
        yield running


def lose_the_data(stack: Stack) -> None:
    stack.kill(REDIS)
    shutil.rmtree(stack.state / REDIS)
    stack.start_one(REDIS)


def command(stack: Stack, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    return run_command(program, *words, environment=stack.environment(program))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def keys_in_redis(stack: Stack) -> int:
    with redis.Redis(LOOPBACK, stack.ports.redis, username="auth", password=stack.redis_password("auth")) as client:
        return client.exists("auth:keys")


def readiness(http: httpx2.Client, url: str) -> httpx2.Response:
    return http.get(f"{url}/readyz")


def test_a_redis_that_lost_its_data_is_detected(own_stack: Stack) -> None:
    with httpx2.Client(timeout=20) as http:
        api = ServicesApi(own_stack.auth_url, own_stack.mcp_url, http)
        token, published = api.token, world_keys(http, own_stack)
        lose_the_data(own_stack)
        for url in (own_stack.auth_url, own_stack.mcp_url):
            wait_until(lambda url=url: readiness(http, url).status_code == 503)
            assert REPLACED in readiness(http, url).text
            assert "redis accept" in readiness(http, url).text
        # Tokens stay valid, and no key was created in place of the lost ones.
        assert world_keys(http, own_stack) == published
        assert api.get("/hello", token).status_code == 200
        assert not keys_in_redis(own_stack)
        for program in (AUTH, MCP):
            examined = command(own_stack, program, "doctor", "--json")
            assert examined.returncode == 1
            (finding,) = [each for each in json.loads(examined.stdout) if REPLACED in each["what"]]
            assert f"`{program} redis accept`" in finding["hint"]
            log = own_stack.children[program].log.read_text()
            assert log.count(REPLACED) == 1, "said once"
        for program, url in ((AUTH, own_stack.auth_url), (MCP, own_stack.mcp_url)):
            assert command(own_stack, program, "redis", "accept").stdout == "accepted\n"
            wait_until(lambda url=url: readiness(http, url).status_code == 200)
        assert world_keys(http, own_stack) == published
        assert keys_in_redis(own_stack)
        assert api.get("/hello", token).status_code == 200
        assert "nothing to accept" in command(own_stack, AUTH, "redis", "accept").stdout


def test_a_service_on_an_emptied_redis_creates_no_keys_until_it_is_accepted(own_stack: Stack) -> None:
    own_stack.kill(AUTH)
    lose_the_data(own_stack)
    own_stack.start_one(AUTH)
    with httpx2.Client(timeout=20) as http:

        def refuses() -> bool:
            try:
                return REPLACED in readiness(http, own_stack.auth_url).text
            except httpx2.ConnectError:
                return False

        wait_until(refuses)
        assert readiness(http, own_stack.auth_url).json()["checks"]["redis_identity"]["ok"] is False
        assert world_keys(http, own_stack) == []
        assert not keys_in_redis(own_stack)
        assert command(own_stack, AUTH, "redis", "accept").returncode == 0
        wait_until(lambda: readiness(http, own_stack.auth_url).status_code == 200)
        assert world_keys(http, own_stack)


def world_keys(http: httpx2.Client, stack: Stack) -> list[str]:
    return sorted(key["kid"] for key in http.get(f"{stack.auth_url}/.well-known/jwks.json").json()["keys"])
