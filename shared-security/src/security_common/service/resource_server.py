"""What every service with MCP addresses creates from its settings: the guard's policy and the store of placeholders."""

from redis.asyncio import Redis

from security_common.encryption import EncryptionService
from security_common.guard import GuardPolicy
from security_common.service.resource_server_settings import ResourceServerSettings
from security_common.service.web_application import ICON_PATH, OPENAPI_PATH
from security_common.tokens import StatusPolicy
from security_common.tool_policy import PlaceholderStore
from security_common.tool_policy.pseudonyms import KeyedPseudonyms
from security_common.tool_policy.redis_placeholder_store import RedisPlaceholderStore

__all__ = ["guard_policy", "placeholder_store", "status_policy"]


def guard_policy(
    settings: ResourceServerSettings, *, open_prefixes: tuple[str, ...], hands_on_document: bool = False
) -> GuardPolicy:
    """The policy of the guard in front of a service. `open_prefixes` are the paths below which no token is needed."""
    return GuardPolicy(
        open_paths=GuardPolicy().open_paths | {ICON_PATH, OPENAPI_PATH},
        open_prefixes=open_prefixes,
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
        trusted_proxies=settings.trusted_proxies,
        hands_on_document=hands_on_document,
    )


def status_policy(settings: ResourceServerSettings) -> StatusPolicy:
    """What the verifier does while a status list of an issuer cannot be fetched."""
    return StatusPolicy(outage_seconds=settings.status_outage_seconds)


def placeholder_store(
    settings: ResourceServerSettings,
    redis: Redis,
    encryption: EncryptionService | None,
    pseudonyms: KeyedPseudonyms | None,
    *,
    key_prefix: str,
) -> PlaceholderStore | None:
    """The store in Redis. Without keys None: the tool policy then has a store in memory, for one process.

    `key_prefix` is what the keys of this service in Redis begin with.
    """
    if encryption is None or pseudonyms is None:
        return None
    return RedisPlaceholderStore(
        redis,
        encryption,
        pseudonyms,
        key_prefix=f"{key_prefix}:placeholders:",
        lifetime_seconds=settings.placeholder_lifetime_seconds,
        per_owner=settings.placeholders_per_owner,
    )
