"""What `app.create_app` builds first and most parts of the service are given."""

from dataclasses import dataclass

from limits.aio.storage import Storage
from redis.asyncio import Redis

from auth_service.accounts.local import LocalAccounts
from auth_service.authorize.codes import Codes
from auth_service.authorize.consents import Consents
from auth_service.clients.directory import Directory
from auth_service.clients.outgoing import Outgoing
from auth_service.clients.secrets import SecretKeeper
from auth_service.declaration import Declaration
from auth_service.errors import TooManyRequests
from auth_service.grants.families import Families
from auth_service.http.metrics import Metrics
from auth_service.http.throttle import Throttle
from auth_service.keys.ring import KeyRing
from auth_service.record import Recorder
from auth_service.settings import AuthSettings
from auth_service.tokens.denials import Denials
from auth_service.tokens.minter import TokenMinter
from auth_service.tokens.reader import TokenReader
from auth_service.tokens.resources import Resources
from auth_service.vocabulary import Clock, RandomBytes
from security_common.audit import Journal
from security_common.service import RedisIdentity, RedisMonitor

__all__ = ["Core", "People", "make_throttle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What most parts are given."""

    settings: AuthSettings
    declaration: Declaration
    redis: Redis
    trail_redis: Redis
    counters: Storage
    outgoing: Outgoing
    journal: Journal
    record: Recorder
    redis_identity: RedisIdentity
    redis_monitor: RedisMonitor
    keys: KeyRing
    secret_keeper: SecretKeeper
    directory: Directory
    resources: Resources
    minter: TokenMinter
    metrics: Metrics
    clock: Clock
    random_bytes: RandomBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """What the parts share that deal with people and what they granted."""

    accounts: LocalAccounts
    consents: Consents
    codes: Codes
    families: Families
    reader: TokenReader
    denials: Denials


def make_throttle(core: Core, name: str, free: int) -> Throttle:
    return Throttle(name=name, storage=core.counters, clock=core.clock, free=free, error=TooManyRequests)
