"""Client secrets: kept as HMAC-SHA256 under the pepper, compared in constant time.

One scheme for all, on purpose. Secrets this server makes are 256 random bits, which no slow hash makes safer; secrets
an operator chose are read from their file at start and never stored, so there is nothing at rest to guess against. A
slow hash on the token endpoint would cost eighty signatures and hand every stranger a way to burn our CPU.
"""

import hmac
from base64 import urlsafe_b64encode

from auth_service.clients.client import Client, StoredSecret
from auth_service.protocol import RandomBytes

__all__ = ["ClientSecrets"]

_SCHEME = "hmac-sha256"


class ClientSecrets:
    """Makes, seals and checks client secrets."""

    def __init__(self, pepper: bytes, random_bytes: RandomBytes) -> None:
        # Copied for each check: `hmac.digest` would let go of the interpreter and wait to have it back.
        self._keyed = hmac.new(pepper, digestmod="sha256")
        self._random_bytes = random_bytes
        # Unknown clients are compared with this, so that they cost what known ones cost.
        self._nobody = self.seal(self.generate())

    def generate(self) -> str:
        """A fresh secret of 256 bits."""
        return urlsafe_b64encode(self._random_bytes(32)).rstrip(b"=").decode("ascii")

    def seal(self, secret: str) -> StoredSecret:
        return StoredSecret(scheme=_SCHEME, digest=self._digest(secret))

    def matches(self, client: Client | None, secret: str) -> bool:
        """Whether this is the client's secret; the same work when there is no such client."""
        stored = client.secret if client is not None else None
        expected = (stored or self._nobody).digest
        return hmac.compare_digest(expected, self._digest(secret)) and stored is not None

    def _digest(self, secret: str) -> str:
        keyed = self._keyed.copy()
        keyed.update(secret.encode("utf-8", "surrogatepass"))
        return keyed.hexdigest()
