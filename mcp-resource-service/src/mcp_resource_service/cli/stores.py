"""The stores that hold ciphertext, for `security-common keys reencrypt`."""

import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from mcp_resource_service.directory import Directory
from mcp_resource_service.records import RecordStore
from mcp_resource_service.settings import ResourceSettings
from security_common.encryption import open_encryption_service
from security_common.encryption.reencryption import EncryptedStore
from security_common.service import redis_for_command

__all__ = ["encrypted_stores"]


@asynccontextmanager
async def encrypted_stores() -> AsyncGenerator[Mapping[str, EncryptedStore]]:
    """The directory and the records, with this service's settings."""
    settings = ResourceSettings()
    encryption = open_encryption_service(settings.security)
    async with redis_for_command(settings) as redis:
        yield {
            "directory": Directory(redis, encryption),
            "records": RecordStore(redis, encryption, clock=time.time, new_id=secrets.token_hex),
        }
