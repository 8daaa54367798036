"""Passwords as argon2id hashes (RFC 9106)."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

__all__ = ["LONGEST_PASSWORD", "Passwords"]

LONGEST_PASSWORD = 256

# 19 MiB and two passes: OWASP's floor. More memory would be paid at the same time for every sign-in under attack.
_MEMORY_KIB = 19 * 1024
_PASSES = 2
_AT_ONCE = 2

Result = TypeVar("Result")


class Passwords:
    """Seals and checks passwords off the event loop, two at a time, so that guessing cannot exhaust the memory.

    The threads are used for nothing else, so that a password check waits for other password checks only.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passwords")
        # Names nobody has are checked against this hash, so that they cost what others cost.
        self._nobody = self._hasher.hash("nobody")

    async def seal(self, password: str) -> str:
        """The hash with its salt and parameters, in PHC string format."""
        return await self._in_a_thread(lambda: self._hasher.hash(_normalise(password)))

    async def matches(self, sealed: str | None, password: str) -> bool:
        """Whether the password is the sealed one; the same work when nothing is sealed."""
        return await self._in_a_thread(lambda: self._verify(sealed or self._nobody, password)) and sealed is not None

    async def _in_a_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def is_outdated(self, sealed: str) -> bool:
        """True when it was sealed with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(sealed)

    def _verify(self, sealed: str, password: str) -> bool:
        try:
            return self._hasher.verify(sealed, _normalise(password))
        except (VerificationError, InvalidHashError):
            return False


def _normalise(password: str) -> str:
    """Keyboards compose Hangul and accents in different ways (NIST SP 800-63B section 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password[: LONGEST_PASSWORD + 1])
