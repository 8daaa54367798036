"""Client secrets: stored as HMAC-SHA256 under the pepper, compared in constant time.

There is one scheme, and it is not a slow hash. Generated secrets are 256 random bits, which a slow hash cannot protect
any better. Secrets that an operator chose are read from their file at start and never stored. A slow hash at the token
endpoint would cost as much CPU as eighty signatures, and unauthenticated clients could use that to overload the server.
"""

import hmac
import time

from auth_service.clients.client import Client, StoredSecret
from auth_service.protocol import Clock, RandomBytes, base64url

__all__ = ["ClientSecrets"]

_SCHEME = "hmac-sha256"


class ClientSecrets:
    """Generates, hashes and verifies client secrets."""

    def __init__(self, pepper: bytes, random_bytes: RandomBytes, clock: Clock = time.time) -> None:
        # Copied for each digest: `hmac.digest` would release the interpreter lock and wait to acquire it again.
        self._keyed = hmac.new(pepper, digestmod="sha256")
        self._random_bytes = random_bytes
        self._clock = clock
        # Compared for an unknown client, so that the response takes as long as for a known one.
        self._decoy = self.hash(self.generate())

    def generate(self) -> str:
        """A new secret of 256 random bits, base64url."""
        return base64url(self._random_bytes(32))

    def hash(self, secret: str) -> StoredSecret:
        """The secret in the form in which it is stored."""
        return StoredSecret(scheme=_SCHEME, digest=self._digest(secret))

    def matches(self, client: Client | None, secret: str) -> bool:
        """Whether this is the client's secret, and it has not expired.

        Takes as long if the client does not exist or has no secret.
        """
        stored = client.secret if client is not None else None
        expected = (stored or self._decoy).digest
        is_same = hmac.compare_digest(expected, self._digest(secret))
        return is_same and client is not None and stored is not None and not self._has_expired(client)

    def _has_expired(self, client: Client) -> bool:
        expires_at_seconds = client.secret_expires_at_seconds
        return expires_at_seconds is not None and self._clock() >= expires_at_seconds

    def _digest(self, secret: str) -> str:
        keyed = self._keyed.copy()
        keyed.update(secret.encode("utf-8", "surrogatepass"))
        return keyed.hexdigest()
