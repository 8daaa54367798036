"""Password hashes with argon2id (RFC 9106)."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

__all__ = ["MAX_PASSWORD_LENGTH", "Passwords"]

MAX_PASSWORD_LENGTH = 256

# 19 MiB and two passes are the OWASP minimum. More memory per hash would also make it easier for an attacker to exhaust
# the server's memory.
_MEMORY_KIB = 19 * 1024
_PASSES = 2
_CONCURRENT_HASHES = 2

Result = TypeVar("Result")


class Passwords:
    """Hashes and verifies passwords in two threads of its own, so that guessing cannot exhaust the memory.

    The threads do nothing else, and so a password check waits only for other password checks.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)
        self._threads = ThreadPoolExecutor(_CONCURRENT_HASHES, thread_name_prefix="passwords")
        # Verified for an unknown username, so that the response takes as long as for a known one.
        self._decoy_hash = self._hasher.hash("decoy")

    async def hash(self, password: str) -> str:
        """The hash with its salt and parameters, in PHC string format."""
        return await self._in_a_thread(lambda: self._hasher.hash(_normalize(password)))

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether the password has this hash. Takes as long if there is no hash."""
        matches = await self._in_a_thread(lambda: self._verify(password_hash or self._decoy_hash, password))
        return matches and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """True if the hash has other parameters than new hashes."""
        return self._hasher.check_needs_rehash(password_hash)

    async def _in_a_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _normalize(password))
        except (VerificationError, InvalidHashError):
            return False


def _normalize(password: str) -> str:
    """Keyboards compose Hangul and accents in different ways (NIST SP 800-63B section 5.1.1.2).

    Cut to one character more than any stored password can have: a longer guess costs no more and still does not match.
    """
    return unicodedata.normalize("NFKC", password[: MAX_PASSWORD_LENGTH + 1])
