"""What a Redis is, and what about it can lose or refuse data: one examination for doctors and for readiness.

Three commands: INFO, CONFIG GET and WAITAOF. A managed Redis often has no CONFIG; INFO then says what it can. Without
WAITAOF nobody can tell that a write is on disk: the setting REDIS_DURABILITY=memory accepts that (docs/reliability.md).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from security_common.service.findings import Finding

__all__ = ["Durability", "RedisFacts", "RedisHealth", "RedisMonitor", "examine_redis", "judge_redis"]

Durability = Literal["disk", "memory"]

_STRICT = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
_STRICT_HINT = "set appendonly yes, appendfsync always, maxmemory-policy noeviction"
_WITHOUT_DISK = "; for a Redis that cannot, {}REDIS_DURABILITY=memory accepts the risk (docs/reliability.md)"
_WARN_SHARE, _FULL_SHARE = 0.75, 0.90
_ANSWER_SECONDS = 1.0
_KEPT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisFacts:
    """What the server says about itself; None is what it does not say.

    `config_problem` and `waitaof_problem` are empty when the command works.
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

    @property
    def memory_share(self) -> float:
        """Used memory as a share of maxmemory; 0 when there is no limit."""
        return self.used_memory_bytes / self.max_memory_bytes if self.max_memory_bytes else 0.0

    def __str__(self) -> str:
        limit = f" of {_mebibytes(self.max_memory_bytes)}" if self.max_memory_bytes else ", no limit"
        return (
            f"{self.server} {self.version}, {self.role or 'role unknown'}, {_mebibytes(self.used_memory_bytes)}{limit}"
        )


async def examine_redis(redis: Redis) -> RedisFacts:
    """Asks the server. Raises `RedisError` when it does not answer; what it refuses is a fact, not an error."""
    server: Any = redis  # redis-py's signatures are partly untyped
    info, info_problem = await _ask(server.info())
    config, config_problem = await _ask(server.config_get(*_STRICT))
    _, waitaof_problem = await _ask(server.execute_command("WAITAOF", 1, 0, 1))
    if config_problem:
        config = _config_told_by_info(info)
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
    )


def judge_redis(facts: RedisFacts, *, durability: Durability, prefix: str) -> list[Finding]:
    """What is wrong, worst first; empty for a Redis that keeps what it is given. `prefix` is that of the settings."""
    found = [*_judge_role(facts, prefix), *_judge_memory(facts), *_judge_settings(facts, durability, prefix)]
    found += _judge_waitaof(facts, durability, prefix)
    if facts.info_problem:
        found.append(_warning(f"INFO is refused ({facts.info_problem})", "allow +info: role and memory are unknown"))
    return sorted(found, key=lambda finding: finding.ok)


def _judge_role(facts: RedisFacts, prefix: str) -> list[Finding]:
    if facts.role in {None, "master"}:
        return []
    return [_problem(f"it is a replica ({facts.role}) and refuses writes", f"name the primary in {prefix}REDIS_URL")]


def _judge_memory(facts: RedisFacts) -> list[Finding]:
    share = facts.memory_share
    if share < _WARN_SHARE:
        return []
    what = f"memory is {share:.0%} full ({_mebibytes(facts.used_memory_bytes)} of {_mebibytes(facts.max_memory_bytes)})"
    hint = "raise maxmemory and the memory of its machine; when it is full, sign-ins and records are refused"
    return [_problem(what, hint) if share >= _FULL_SHARE else _warning(what, hint)]


def _judge_settings(facts: RedisFacts, durability: Durability, prefix: str) -> list[Finding]:
    weak = [name for name, wanted in _STRICT.items() if facts.config.get(name) not in {None, wanted}]
    unknown = [name for name in _STRICT if facts.config.get(name) is None]
    found: list[Finding] = []
    if weak:
        what = "; ".join(f"{name} is {facts.config[name]}, not {_STRICT[name]}" for name in weak)
        accepted = durability == "memory" and "maxmemory-policy" not in weak
        hint = f"{_STRICT_HINT}{'' if accepted else _WITHOUT_DISK.format(prefix)}"
        found.append(_warning(what, hint) if accepted else _problem(what, hint))
    if unknown:
        hint = "allow +config|get; a managed Redis without CONFIG: check them in its console (docs/reliability.md)"
        found.append(_warning(f"{', '.join(unknown)} cannot be read: {facts.config_problem}", hint))
    return found


def _judge_waitaof(facts: RedisFacts, durability: Durability, prefix: str) -> list[Finding]:
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
    return [_problem(f"WAITAOF does not work ({facts.waitaof_problem}): no record can be stored", hint)]


@dataclass(frozen=True, slots=True)
class RedisHealth:
    """For readiness: whether Redis answers, and what is wrong with it, in words."""

    answers: bool
    notes: tuple[str, ...]


class RedisMonitor:
    """Examines Redis for probes: at most every five seconds, and for at most a second."""

    def __init__(
        self, redis: Redis, *, durability: Durability, prefix: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` gives seconds. `prefix` is that of the service's settings."""
        self._redis = redis
        self._durability: Durability = durability
        self._prefix = prefix
        self._clock = clock
        self._judged: tuple[float, tuple[str, ...]] | None = None

    async def health(self) -> RedisHealth:
        """One PING while the last examination is fresh, the whole of it otherwise."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                if self._judged is not None and self._clock() < self._judged[0] + _KEPT_SECONDS:
                    await self._redis.ping()
                else:
                    await self._examine()
        except (RedisError, OSError, TimeoutError):
            self._judged = None
            return RedisHealth(answers=False, notes=())
        return RedisHealth(answers=True, notes=self._judged[1] if self._judged else ())

    async def _examine(self) -> None:
        found = judge_redis(await examine_redis(self._redis), durability=self._durability, prefix=self._prefix)
        self._judged = self._clock(), tuple(finding.what.removeprefix("redis: ") for finding in found)


async def _ask(command: Awaitable[Any]) -> tuple[dict[str, Any], str]:
    """The answer, or why the server refuses this command. Raises `RedisError` when it does not answer at all."""
    try:
        answer = await command
    except NoPermissionError:
        return {}, "the user may not run it"
    except ResponseError as refusal:
        return {}, str(refusal)[:120]
    return cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}, ""


def _config_told_by_info(info: Mapping[str, Any]) -> dict[str, str | None]:
    """What INFO says of the same settings. The way of syncing is not among them."""
    aof = info.get("aof_enabled")
    return {
        "appendonly": None if aof is None else "yes" if int(aof) else "no",
        "maxmemory-policy": info.get("maxmemory_policy"),
    }


def _problem(what: str, hint: str) -> Finding:
    return Finding(f"redis: {what}", ok=False, hint=hint)


def _warning(what: str, hint: str) -> Finding:
    return Finding(f"redis: {what}", ok=True, hint=hint, warning=True)


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
