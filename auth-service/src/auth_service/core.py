"""What `app.create_app` builds first and most parts of the service are given."""

from dataclasses import dataclass

from limits.aio.storage import Storage
from redis.asyncio import Redis

from auth_service.accounts.consents import Consents
from auth_service.accounts.local_accounts import LocalAccounts
from auth_service.audit_recorder import AuditRecorder
from auth_service.clients.client_directory import ClientDirectory
from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.outgoing_fetches import OutgoingFetches
from auth_service.declaration import Declaration
from auth_service.errors import TooManyRequests
from auth_service.http.metrics import Metrics
from auth_service.http.throttle import Throttle
from auth_service.keys.signing_key_set import SigningKeySet
from auth_service.protocol import Clock, RandomBytes
from auth_service.settings import AuthSettings
from auth_service.tokens.authorization_codes import AuthorizationCodes
from auth_service.tokens.issued_tokens import AccessTokenMinter, IssuedTokenVerifier
from auth_service.tokens.refresh_tokens import RefreshTokens
from auth_service.tokens.resources import Resources
from auth_service.tokens.revoked_tokens import RevokedTokens
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
    outgoing: OutgoingFetches
    journal: Journal
    record: AuditRecorder
    redis_identity: RedisIdentity
    redis_monitor: RedisMonitor
    keys: SigningKeySet
    secret_keeper: ClientSecrets
    directory: ClientDirectory
    resources: Resources
    minter: AccessTokenMinter
    metrics: Metrics
    clock: Clock
    random_bytes: RandomBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """What the parts share that deal with people and what they granted."""

    accounts: LocalAccounts
    consents: Consents
    codes: AuthorizationCodes
    families: RefreshTokens
    reader: IssuedTokenVerifier
    revoked: RevokedTokens


def make_throttle(core: Core, name: str, free: int) -> Throttle:
    return Throttle(name=name, storage=core.counters, clock=core.clock, free=free, error=TooManyRequests)
