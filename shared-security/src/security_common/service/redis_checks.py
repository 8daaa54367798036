"""What a Redis server is, and which of its properties can lose or refuse data: for doctors and for readiness.

The facts come from INFO, CONFIG GET and WAITAOF. A managed Redis often has no CONFIG; INFO reports a part of the same
settings. Without WAITAOF it is unknown whether a write is on disk: REDIS_DURABILITY=memory accepts that
(docs/reliability.md).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from security_common.service.doctor import CheckResult
from security_common.service.redis_connection import connect_redis, explain_failure
from security_common.service.redis_identity import RedisIdentity
from security_common.service.settings import ServiceSettings
from security_common.setting_names import setting_prefix

__all__ = [
    "Durability",
    "RedisFacts",
    "RedisHealth",
    "RedisMonitor",
    "check_redis",
    "check_redis_connection",
    "check_redis_facts",
    "check_redis_server",
    "read_redis_facts",
]

Durability = Literal["replica", "disk", "memory"]

_STRICT = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
_MIN_REPLICAS = "min-replicas-to-write"
_STRICT_HINT = "set appendonly yes, appendfsync always, maxmemory-policy noeviction"
_WITHOUT_DISK = "; for a Redis that cannot, {}REDIS_DURABILITY=memory accepts the risk (docs/reliability.md)"
_WARN_SHARE, _FULL_SHARE = 0.75, 0.90
# Longer than the deadline of a command, so that a Redis that hangs opens the circuit, and shorter than the 1.5 seconds
# of a readiness check.
_PROBE_SECONDS = 1.35
_DOCTOR_SECONDS = 3.0
_KEPT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisFacts:
    """What the server reports about itself; None where it reports nothing.

    `config_problem`, `waitaof_problem` and `info_problem` are empty when the command works.
    """

    server: str
    version: str
    role: str | None
    used_memory_bytes: int
    max_memory_bytes: int
    config: Mapping[str, str | None]
    config_problem: str
    waitaof_problem: str
    info_problem: str
    connected_replicas: int = 0
    min_replicas_to_write: str | None = None

    @property
    def memory_share(self) -> float:
        """Used memory as a share of maxmemory; 0 when there is no limit."""
        return self.used_memory_bytes / self.max_memory_bytes if self.max_memory_bytes else 0.0

    def __str__(self) -> str:
        limit = f" of {_mebibytes(self.max_memory_bytes)}" if self.max_memory_bytes else ", no limit"
        return (
            f"{self.server} {self.version}, {self.role or 'role unknown'}, {_mebibytes(self.used_memory_bytes)}{limit}"
        )


async def read_redis_facts(redis: Redis) -> RedisFacts:
    """Queries the server. Raises `RedisError` when it does not answer; a refused command is one of the facts."""
    server: Any = redis  # redis-py's signatures are partly untyped
    info, info_problem = await _answer_or_refusal(server.info())
    config, config_problem = await _answer_or_refusal(server.config_get(*_STRICT, _MIN_REPLICAS))
    _, waitaof_problem = await _answer_or_refusal(server.execute_command("WAITAOF", 1, 0, 1))
    if config_problem:
        config = _config_from_info(info)
    return RedisFacts(
        server="Valkey" if "valkey_version" in info else "Redis",
        version=str(info.get("valkey_version") or info.get("redis_version") or "of unknown version"),
        role=info.get("role"),
        used_memory_bytes=int(info.get("used_memory", 0)),
        max_memory_bytes=int(info.get("maxmemory", 0)),
        config=config,
        config_problem=config_problem,
        waitaof_problem=waitaof_problem,
        info_problem=info_problem,
        connected_replicas=int(info.get("connected_slaves", 0)),
        min_replicas_to_write=config.get(_MIN_REPLICAS),
    )


def check_redis_facts(facts: RedisFacts, *, durability: Durability, prefix: str) -> list[CheckResult]:
    """What can lose or refuse data, failures before warnings; empty when nothing can.

    `prefix` is the prefix of the service's settings, for the hints.
    """
    results = [*_check_role(facts, prefix), *_check_memory(facts), *_check_config(facts, durability, prefix)]
    results += _check_waitaof(facts, durability, prefix)
    if durability == "replica":
        results += _check_replicas(facts, prefix)
    if facts.info_problem:
        hint = "allow +info: role and memory are unknown"
        results.append(_warning(f"INFO is refused ({facts.info_problem})", hint))
    return sorted(results, key=lambda result: result.ok)


def _check_role(facts: RedisFacts, prefix: str) -> list[CheckResult]:
    if facts.role in {None, "master"}:
        return []
    return [_failure(f"it is a replica ({facts.role}) and refuses writes", f"name the primary in {prefix}REDIS_URL")]


def _check_memory(facts: RedisFacts) -> list[CheckResult]:
    share = facts.memory_share
    if share < _WARN_SHARE:
        return []
    what = f"memory is {share:.0%} full ({_mebibytes(facts.used_memory_bytes)} of {_mebibytes(facts.max_memory_bytes)})"
    hint = "raise maxmemory and the memory of its machine; when it is full, sign-ins and records are refused"
    return [_failure(what, hint) if share >= _FULL_SHARE else _warning(what, hint)]


def _check_config(facts: RedisFacts, durability: Durability, prefix: str) -> list[CheckResult]:
    weak = [name for name, wanted in _STRICT.items() if facts.config.get(name) not in {None, wanted}]
    unknown = [name for name in _STRICT if facts.config.get(name) is None]
    results: list[CheckResult] = []
    if weak:
        what = "; ".join(f"{name} is {facts.config[name]}, not {_STRICT[name]}" for name in weak)
        accepted = durability == "memory" and "maxmemory-policy" not in weak
        hint = f"{_STRICT_HINT}{'' if accepted else _WITHOUT_DISK.format(prefix)}"
        results.append(_warning(what, hint) if accepted else _failure(what, hint))
    if unknown:
        hint = "allow +config|get; a managed Redis without CONFIG: check them in its console (docs/reliability.md)"
        results.append(_warning(f"{', '.join(unknown)} cannot be read: {facts.config_problem}", hint))
    return results


def _check_waitaof(facts: RedisFacts, durability: Durability, prefix: str) -> list[CheckResult]:
    explained = facts.config.get("appendonly") == "no" or facts.role not in {None, "master"}
    if not facts.waitaof_problem or explained:
        return []
    if durability == "memory":
        hint = f"that is what {prefix}REDIS_DURABILITY=memory accepts (docs/reliability.md)"
        return [_warning("a write is not known to be on disk: a crash of Redis can lose the newest", hint)]
    hint = (
        "use Redis 7.2 or Valkey 8 with appendonly yes and allow +waitaof, or accept the risk with "
        f"{prefix}REDIS_DURABILITY=memory (docs/reliability.md)"
    )
    return [_failure(f"WAITAOF does not work ({facts.waitaof_problem}): no record can be stored", hint)]


def _check_replicas(facts: RedisFacts, prefix: str) -> list[CheckResult]:
    """What `REDIS_DURABILITY=replica` needs: a replica now, and a primary without replicas that refuses writes."""
    results: list[CheckResult] = []
    if facts.connected_replicas == 0 and not facts.info_problem:
        hint = f"start one, or accept with {prefix}REDIS_DURABILITY=disk that writes are lost with the primary's disk"
        results.append(_failure("no replica is connected: no write can be confirmed", hint))
    if facts.min_replicas_to_write == "0":
        hint = f"set {_MIN_REPLICAS} 1, so that a primary that was replaced accepts no more writes"
        results.append(_warning(f"{_MIN_REPLICAS} is 0", hint))
    return results


async def check_redis(settings: ServiceSettings, open_identity: Callable[[Redis], RedisIdentity]) -> list[CheckResult]:
    """Whether Redis answers, and all of `check_redis_server`. Raises `RedisError`.

    `open_identity` returns the identity of the Redis that the service used before.
    """
    async with connect_redis(settings) as redis:
        failure = await check_redis_connection(settings, redis)
        if failure is not None:
            return [failure]
        return await check_redis_server(redis, open_identity(redis), settings)


async def check_redis_connection(settings: ServiceSettings, redis: Redis) -> CheckResult | None:
    """A failed result when Redis cannot be used; None when it answers."""
    try:
        async with asyncio.timeout(_DOCTOR_SECONDS):
            await redis.ping()
    except (RedisError, OSError, TimeoutError) as failure:
        explained = explain_failure(settings, failure)
        return CheckResult(f"redis: {explained.description}", ok=False, hint=explained.hint)
    return None


async def check_redis_server(redis: Redis, identity: RedisIdentity, settings: ServiceSettings) -> list[CheckResult]:
    """What the server is, whether the service used it before, and what can lose or refuse data.

    Raises `RedisError`.
    """
    prefix = setting_prefix(settings)
    facts = await read_redis_facts(redis)
    results = [CheckResult(f"redis: {facts}", ok=True)]
    replaced = await identity.examine()
    if replaced:
        results.append(CheckResult(f"redis: {replaced.description}", ok=False, hint=replaced.hint))
    weaknesses = check_redis_facts(facts, durability=settings.redis_durability, prefix=prefix)
    results += [replace(each, what=f"redis: {each.what}") for each in weaknesses]
    return results if weaknesses else [*results, CheckResult("redis: no setting can lose or refuse data", ok=True)]


@dataclass(frozen=True, slots=True)
class RedisHealth:
    """For readiness: whether Redis answers, and a sentence for each of its problems."""

    answers: bool
    notes: tuple[str, ...]


class RedisMonitor:
    """Checks Redis for readiness probes: all checks at most every five seconds, and for at most 1.35 seconds."""

    def __init__(
        self, redis: Redis, *, durability: Durability, prefix: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` returns seconds. `prefix` is the prefix of the service's settings."""
        self._redis = redis
        self._durability: Durability = durability
        self._prefix = prefix
        self._clock = clock
        self._checked_at_seconds = -_KEPT_SECONDS
        self._notes: tuple[str, ...] | None = None

    async def health(self) -> RedisHealth:
        """Sends one PING while the last check is recent, and makes all checks otherwise."""
        is_recent = self._notes is not None and self._clock() < self._checked_at_seconds + _KEPT_SECONDS
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                if is_recent:
                    await self._redis.ping()
                else:
                    await self._check()
        except (RedisError, OSError, TimeoutError):
            self._notes = None
            return RedisHealth(answers=False, notes=())
        return RedisHealth(answers=True, notes=self._notes or ())

    async def _check(self) -> None:
        facts = await read_redis_facts(self._redis)
        results = check_redis_facts(facts, durability=self._durability, prefix=self._prefix)
        self._checked_at_seconds = self._clock()
        self._notes = tuple(result.what for result in results)


async def _answer_or_refusal(command: Awaitable[Any]) -> tuple[dict[str, Any], str]:
    """The answer, or why the server refuses this command. Raises `RedisError` when it does not answer at all."""
    try:
        answer = await command
    except NoPermissionError:
        return {}, "the user may not run it"
    except ResponseError as refusal:
        return {}, str(refusal)[:120]
    return cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}, ""


def _config_from_info(info: Mapping[str, Any]) -> dict[str, str | None]:
    """The same settings from INFO, which does not report `appendfsync`."""
    aof = info.get("aof_enabled")
    if aof is None:
        appendonly = None
    elif int(aof):
        appendonly = "yes"
    else:
        appendonly = "no"
    return {"appendonly": appendonly, "maxmemory-policy": info.get("maxmemory_policy")}


def _failure(what: str, hint: str) -> CheckResult:
    return CheckResult(what, ok=False, hint=hint)


def _warning(what: str, hint: str) -> CheckResult:
    return CheckResult(what, ok=True, hint=hint, warning=True)


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
