"""A service with open registration, with and without demo mode, and users of its clients."""

import asyncio
import itertools
from pathlib import Path

import yaml
from redis.asyncio import Redis
from running_auth import Service, StartService
from signing_in import RESOURCE, Person

from auth_service.accounts.account import Account, Role
from auth_service.accounts.passwords import Passwords
from auth_service.accounts.store import AccountStore

__all__ = ["DOCUMENTS", "PASSWORD", "auditor_name", "new_person", "start_open_service", "user_name"]

DOCUMENTS = Path(__file__).parent / "client_documents"
PASSWORD = "pass phrase"
_REGISTRATION = {"dynamic": "open", "metadata_documents": "listed", "pinned_directory": str(DOCUMENTS)}
_SCOPES = ("mcp.access", "mcp.decrypt", "mcp.audit")
_RESOURCES = [
    {
        "url": RESOURCE,
        "name": "Insurance claims",
        "default": True,
        "scopes": {scope: {"ko": f"{scope} 사용", "en": f"Use {scope}"} for scope in _SCOPES},
    },
    {"url": "https://other.example/mcp", "scopes": {"mcp.access": {"ko": "사용", "en": "Use"}}},
]
_sources = itertools.count(1)


def start_open_service(start_service: StartService, folder: Path, *, demo: bool) -> Service:
    """Registration is open, metadata documents are pinned. Without demo mode the resources are declared."""
    config = folder / "auth.yaml"
    declared = {"registration": _REGISTRATION, **({} if demo else {"resources": _RESOURCES})}
    config.write_text(yaml.safe_dump(declared))
    service = start_service(config=config, demo=demo, trusted_proxies="127.0.0.1")

    async def add_accounts() -> None:
        async with Redis.from_url(service.settings.redis_url) as redis:
            for name, roles in ((user_name(service), ()), (auditor_name(service), (Role.AUDITOR,))):
                account = Account(subject=f"u_{name}", username=name, name="User", roles=frozenset(roles))
                await AccountStore(redis).add(account, await Passwords().hash(PASSWORD))

    asyncio.run(add_accounts())
    return service


def user_name(service: Service) -> str:
    """A user name per service: the services share a Redis, which stores consents."""
    return f"user-of-{service.settings.port}"


def auditor_name(service: Service) -> str:
    """A user who is an auditor as well."""
    return f"auditor-of-{service.settings.port}"


def new_person(service: Service) -> Person:
    """A browser with an address of its own, so that tests do not share rate limits."""
    return Person(f"http://127.0.0.1:{service.settings.port}", source=f"10.7.{next(_sources)}.1")
