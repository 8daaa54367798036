"""The objects that several endpoints share, built once from the settings."""

import os
import socket
from dataclasses import dataclass

from limits.aio.storage import Storage
from redis.asyncio import Redis

from auth_service.accounts.consents import Consents
from auth_service.accounts.directory import Accounts
from auth_service.accounts.identities import Identities
from auth_service.accounts.local_accounts import DEMO_ACCOUNT, LocalAccounts
from auth_service.accounts.passwords import Passwords
from auth_service.accounts.provider_logouts import ProviderLogouts
from auth_service.accounts.store import AccountStore
from auth_service.audit_recorder import AuditRecorder
from auth_service.clients.account_page_client import account_page_client
from auth_service.clients.client_assertions import assertion_audiences
from auth_service.clients.client_directory import ClientDirectory
from auth_service.clients.client_id_metadata import make_client_id_metadata_finder
from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.declared_clients import make_client
from auth_service.clients.outgoing_fetches import OutgoingFetches
from auth_service.clients.ssrf_safe_fetch import SsrfSafeFetcher
from auth_service.clients.store import ClientStore
from auth_service.declaration import Declaration, DeclaredClient, ResolvedRegistrationPolicy
from auth_service.declaration_file import load_declaration
from auth_service.errors import TooManyRequests
from auth_service.federation.identity_provider import load_providers
from auth_service.federation.provider_connections import ProviderConnections
from auth_service.federation.recheck_schedule import RecheckSchedule
from auth_service.federation.recheck_worker import RecheckWorker
from auth_service.federation.rechecks import Rechecks
from auth_service.federation.refresh_token_encryption import RefreshTokenEncryption
from auth_service.http.metrics import Metrics
from auth_service.http.rate_limits import Throttle, redis_counters
from auth_service.keys.rotation import RotationPolicy
from auth_service.keys.signing_key import PrivateKeyEncryption
from auth_service.keys.signing_key_set import SigningKeySet
from auth_service.keys.store import KeyStore
from auth_service.protocol import Clock, GrantType, RandomBytes
from auth_service.redis_identity import open_redis_identity
from auth_service.settings import SERVICE, AuthSettings
from auth_service.token_status.client_statuses import ClientStatuses
from auth_service.token_status.replay import RevocationReplay
from auth_service.token_status.status_indices import StatusIndices
from auth_service.token_status.upkeep import StatusUpkeep
from auth_service.tokens.authorization_codes import AuthorizationCodes
from auth_service.tokens.grant_permissions import GrantPermissionsReader
from auth_service.tokens.grant_providers import GrantProviders
from auth_service.tokens.grant_revocation import GrantRevocation
from auth_service.tokens.issued_tokens import AccessTokenMinter, IssuedTokenVerifier
from auth_service.tokens.live_grants import LiveGrants
from auth_service.tokens.refresh_tokens import RefreshTokens
from auth_service.tokens.resources import Resources, declared_resources
from auth_service.tokens.revoked_tokens import RevokedTokens
from auth_service.workloads.workload_issuer import load_workload_issuers
from auth_service.workloads.workload_tokens import WorkloadTokens, client_workloads
from security_common.audit import Journal, open_journal
from security_common.service import RedisIdentity, RedisMonitor, connect_redis, read_secret
from security_common.service.service_metrics import watch_service

__all__ = ["ServiceParts", "build_parts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceParts:
    """Built by `build_parts`; connected and disconnected by the lifespan of the application."""

    settings: AuthSettings
    declaration: Declaration
    registration: ResolvedRegistrationPolicy
    clock: Clock
    random_bytes: RandomBytes
    metrics: Metrics

    redis: Redis
    trail_redis: Redis
    counters: Storage
    redis_identity: RedisIdentity
    redis_monitor: RedisMonitor
    journal: Journal
    record: AuditRecorder

    keys: SigningKeySet
    client_secrets: ClientSecrets
    outgoing: OutgoingFetches
    directory: ClientDirectory
    resources: Resources
    accounts: Accounts
    password_sign_in: LocalAccounts
    identities: Identities
    provider_logouts: ProviderLogouts
    connections: ProviderConnections
    workload_tokens: WorkloadTokens
    refresh_token_encryption: RefreshTokenEncryption
    consents: Consents
    codes: AuthorizationCodes
    minter: AccessTokenMinter
    issued_tokens: IssuedTokenVerifier
    refresh_tokens: RefreshTokens
    grant_permissions: GrantPermissionsReader
    grant_providers: GrantProviders
    revoked_tokens: RevokedTokens
    live_grants: LiveGrants
    grant_revocation: GrantRevocation
    status_indices: StatusIndices
    client_statuses: ClientStatuses
    status_upkeep: StatusUpkeep
    rechecks: Rechecks
    recheck_worker: RecheckWorker

    def make_throttle(self, name: str, free: int) -> Throttle:
        """A rate limit that answers 429, counted under `name` in Redis."""
        return Throttle(name=name, storage=self.counters, clock=self.clock, free=free, error=TooManyRequests)


def build_parts(
    settings: AuthSettings, *, clock: Clock, random_bytes: RandomBytes, fetcher: SsrfSafeFetcher | None
) -> ServiceParts:
    """The parts, not connected yet. Raises `SecurityError` with a hint if the declaration or a secret is wrong."""
    declaration = load_declaration(settings)
    metrics = Metrics()
    registration = declaration.registration.resolve_auto(settings.issuer)
    pepper = read_secret(settings.secret_pepper_file, "AUTH_SECRET_PEPPER_FILE")
    redis, trail_redis = connect_redis(settings), connect_redis(settings, decode=False)
    journal = open_journal(service=SERVICE, settings=settings.security, redis=trail_redis)
    watch_service(metrics.registry, prefix="auth", service=SERVICE, journal=journal, redis=redis)
    record = AuditRecorder(journal, clock=clock)
    identity = open_redis_identity(settings, redis)
    keys = SigningKeySet(
        store=KeyStore(redis),
        identity=identity,
        encryption=PrivateKeyEncryption.load(settings.signing_key_kek_file),
        policy=RotationPolicy.of(settings),
        record=record,
        clock=clock,
        replica=f"{socket.gethostname()}:{os.getpid()}:{random_bytes(4).hex()}",
    )
    client_secrets = ClientSecrets(pepper, random_bytes, clock)
    client_store = ClientStore(redis)
    outgoing = OutgoingFetches.of(registration.hosts, fetcher)
    local_accounts = LocalAccounts(
        store=AccountStore(redis),
        passwords=Passwords(),
        built_in=(DEMO_ACCOUNT,) if settings.demo else (),
        who=declaration.sign_in.local,
    )
    identities = Identities(redis)
    accounts = Accounts(local_accounts, identities, {each.id: each for each in declaration.identity_providers})
    providers = load_providers(declaration.identity_providers, issuer=settings.issuer)
    consents = Consents(redis)
    status_indices = StatusIndices(
        redis=redis, pepper=pepper, random_bytes=random_bytes, lifetime_seconds=settings.status_lifetime_seconds
    )
    grant_revocation = GrantRevocation.of(settings, redis, record, clock=clock, count=metrics.statuses_revoked.inc)
    client_statuses = ClientStatuses(redis, indices=status_indices, revocations=grant_revocation.statuses)
    connections = ProviderConnections(providers, clock=clock)
    token_encryption = RefreshTokenEncryption.load(settings.signing_key_kek_file)
    schedule = RecheckSchedule(redis, clock)
    provider_logouts = ProviderLogouts(
        redis=redis,
        session_seconds=settings.session_lifetime_seconds,
        grant_seconds=settings.refresh_absolute_lifetime_seconds,
        clock=clock,
    )
    rechecks = Rechecks(
        redis=redis,
        identities=identities,
        store=AccountStore(redis),
        revocation=grant_revocation,
        connections=connections,
        schedule=schedule,
        encryption=token_encryption,
        record=record,
        clock=clock,
    )
    refresh_tokens = RefreshTokens(
        redis=redis,
        pepper=pepper,
        clock=clock,
        random_bytes=random_bytes,
        idle_seconds=settings.refresh_idle_lifetime_seconds,
        absolute_seconds=settings.refresh_absolute_lifetime_seconds,
        grace_seconds=settings.refresh_grace_seconds,
    )
    return ServiceParts(
        settings=settings,
        declaration=declaration,
        registration=registration,
        clock=clock,
        random_bytes=random_bytes,
        metrics=metrics,
        redis=redis,
        trail_redis=trail_redis,
        counters=redis_counters(redis),
        redis_identity=identity,
        redis_monitor=RedisMonitor(redis, durability=settings.redis_durability, prefix="AUTH_"),
        journal=journal,
        record=record,
        keys=keys,
        client_secrets=client_secrets,
        outgoing=outgoing,
        directory=ClientDirectory(
            declared=[
                account_page_client(settings.issuer),
                *(make_client(client, client_secrets) for client in declaration.clients),
            ],
            store=client_store,
            documents=make_client_id_metadata_finder(registration, outgoing=outgoing, store=client_store, clock=clock),
            clock=clock,
            self_described_scopes=registration.scopes,
            assertion_clients=[
                client_id
                for provider in declaration.identity_providers
                if provider.enterprise_managed is not None
                for client_id in provider.enterprise_managed.public_clients
            ],
        ),
        resources=declared_resources(declaration),
        accounts=accounts,
        password_sign_in=local_accounts,
        identities=identities,
        provider_logouts=provider_logouts,
        connections=connections,
        workload_tokens=WorkloadTokens(
            issuers=load_workload_issuers(declaration.workload_issuers, issuer=settings.issuer, clock=clock),
            workloads=client_workloads(declaration.clients),
            audiences=assertion_audiences(settings.issuer),
            redis=redis,
            record=record,
            metrics=metrics,
            clock=clock,
        ),
        refresh_token_encryption=token_encryption,
        consents=consents,
        codes=AuthorizationCodes(
            redis,
            random_bytes=random_bytes,
            lifetime_seconds=settings.code_lifetime_seconds,
            reuse_detection_seconds=settings.access_token_lifetime_seconds,
        ),
        minter=AccessTokenMinter(
            issuer=settings.issuer,
            signer=keys,
            clock=clock,
            random_bytes=random_bytes,
            lifetime_seconds=settings.access_token_lifetime_seconds,
        ),
        issued_tokens=IssuedTokenVerifier(
            issuer=settings.issuer, read_key_set=lambda: keys.published_keys.key_set, clock=clock
        ),
        refresh_tokens=refresh_tokens,
        grant_providers=GrantProviders(redis, settings.access_token_lifetime_seconds),
        grant_permissions=GrantPermissionsReader(
            accounts=accounts, consents=consents, provider_logouts=provider_logouts, statuses=grant_revocation.statuses
        ),
        revoked_tokens=grant_revocation.revoked,
        live_grants=grant_revocation.grants,
        grant_revocation=grant_revocation,
        status_indices=status_indices,
        client_statuses=client_statuses,
        status_upkeep=StatusUpkeep(
            redis,
            clock=clock,
            identity=identity,
            indices=status_indices,
            clients=client_statuses,
            replay=RevocationReplay(
                redis=redis,
                directory=settings.security.audit_dir / SERVICE,
                clock=clock,
                lifetime_seconds=settings.status_lifetime_seconds,
            ),
            client_ids=[client.client_id for client in declaration.clients if _gets_tokens_for_itself(client)],
        ),
        rechecks=rechecks,
        recheck_worker=RecheckWorker(
            schedule=schedule,
            rechecks=rechecks,
            identities=identities,
            connections=connections,
            refresh_tokens=refresh_tokens,
        ),
    )


def _gets_tokens_for_itself(client: DeclaredClient) -> bool:
    is_workload = GrantType.JWT_BEARER in client.grant_types and bool(client.workloads)
    return is_workload or GrantType.CLIENT_CREDENTIALS in client.grant_types
