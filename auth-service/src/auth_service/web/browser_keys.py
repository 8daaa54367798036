"""Keys that belong to one browser: for the CSRF tokens of its forms, and for data that is stored for it."""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field

from cryptography.fernet import Fernet

__all__ = ["BrowserKeys"]


@dataclass(frozen=True, slots=True)
class BrowserKeys:
    """Keys derived from the cookie key, a browser's cookie (`secret`) and a purpose.

    A valid CSRF token shows that this server made the form, for this browser and this purpose.
    """

    cookie_key: bytes = field(repr=False)

    def make(self, secret: str, purpose: str) -> str:
        """The CSRF token of a form."""
        return self._digest(secret, purpose).hex()

    def is_valid(self, secret: str, purpose: str, token: str | None) -> bool:
        return hmac.compare_digest(self.make(secret, purpose).encode(), (token or "").encode())

    def encryption_for(self, secret: str, purpose: str) -> Fernet:
        """Encrypts data that Redis stores for one browser: reading it takes the browser's cookie as well."""
        return Fernet(urlsafe_b64encode(self._digest(secret, f"encrypt:{purpose}")))

    def _digest(self, secret: str, purpose: str) -> bytes:
        return hmac.digest(self.cookie_key, f"{secret}:{purpose}".encode(), "sha256")
