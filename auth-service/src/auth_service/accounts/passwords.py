"""Passwords as argon2id hashes (RFC 9106)."""

import asyncio
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

__all__ = ["LONGEST_PASSWORD", "PasswordKeeper"]

LONGEST_PASSWORD = 256

# 19 MiB and two passes: OWASP's floor. More memory would be paid at the same time for every sign-in under attack.
_MEMORY_KIB = 19 * 1024
_PASSES = 2
_AT_ONCE = 2


class PasswordKeeper:
    """Seals and checks passwords off the event loop, two at a time, so that guessing cannot exhaust the memory."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        # Names nobody has are checked against this hash, so that they cost what others cost.
        self._nobody = self._hasher.hash("nobody")

    async def seal(self, password: str) -> str:
        """The hash with its salt and parameters, in PHC string format."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, _normalise(password))

    async def matches(self, sealed: str | None, password: str) -> bool:
        """Whether the password is the sealed one; the same work when nothing is sealed."""
        async with self._turns:
            return await asyncio.to_thread(self._verify, sealed or self._nobody, password) and sealed is not None

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
