"""The embedded Redis persists writes like the one in compose, and its ACL separates the services."""

from pathlib import Path

import pytest
import redis
from redis.exceptions import NoPermissionError

from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer
from security_common.cli.setup import make_secrets


def connect(port: int, user: str, password: Path) -> redis.Redis:
    return redis.Redis(port=port, username=user, password=password.read_text().strip(), decode_responses=True)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    make_secrets(tmp_path / "secrets")
    return tmp_path / "secrets"


def test_acknowledged_writes_survive_a_crash(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with RedisServer(tmp_path / "data", port) as server, redis.Redis(port=port, decode_responses=True) as client:
        assert client.config_get("append*")["appendfsync"] == "always"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        client.set("answered", "yes")
        server.kill()
        server.start()
        assert client.get("answered") == "yes"


def test_each_service_can_access_only_its_own_keys(tmp_path: Path, secrets: Path) -> None:
    [port] = free_ports(1)
    with (
        RedisServer(tmp_path / "data", port, secrets / "redis/users.acl"),
        connect(port, "auth", secrets / "auth/redis_password") as auth,
        connect(port, "mcp", secrets / "mcp/redis_password") as mcp,
    ):
        auth.set("auth:key", "1")
        mcp.set("mcp:record", "1")
        assert auth.xadd("audit:events", {"event": "{}"})
        assert mcp.xlen("audit:events") == 1
        for client, foreign in ((auth, "mcp:record"), (mcp, "auth:key")):
            with pytest.raises(NoPermissionError):
                client.get(foreign)
            with pytest.raises(NoPermissionError):
                client.eval("return redis.call('GET', KEYS[1])", 1, foreign)
            with pytest.raises(NoPermissionError):
                client.flushall()


def test_connections_without_a_password_are_refused(tmp_path: Path, secrets: Path) -> None:
    [port] = free_ports(1)
    with (
        RedisServer(tmp_path / "data", port, secrets / "redis/users.acl"),
        redis.Redis(port=port) as anonymous,
        connect(port, "health", secrets / "redis/health_password") as health,
    ):
        with pytest.raises(redis.AuthenticationError):
            anonymous.ping()
        assert health.ping()
        with pytest.raises(NoPermissionError):
            health.get("auth:key")


def test_setup_keeps_existing_secrets(secrets: Path) -> None:
    given = secrets / "auth/redis_password"
    given.write_text("a-password-of-the-operator\n")
    assert make_secrets(secrets) == []
    assert given.read_text() == "a-password-of-the-operator\n"
