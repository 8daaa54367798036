"""Keys in forms, which show that this browser got the form from us, and for what (protection against CSRF)."""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field

from cryptography.fernet import Fernet

__all__ = ["FormKeys"]


@dataclass(frozen=True, slots=True)
class FormKeys:
    """`secret` is always the value of a cookie that only this browser has; `purpose` separates the forms."""

    cookie_key: bytes = field(repr=False)

    def make(self, secret: str, purpose: str) -> str:
        return self._digest(secret, purpose).hex()

    def is_right(self, secret: str, purpose: str, sent: str | None) -> bool:
        return hmac.compare_digest(self.make(secret, purpose).encode(), (sent or "").encode())

    def seal(self, secret: str, purpose: str) -> Fernet:
        """Encryption of what is kept for this browser: Redis alone cannot open it, nor another browser."""
        return Fernet(urlsafe_b64encode(self._digest(secret, f"seal:{purpose}")))

    def _digest(self, secret: str, purpose: str) -> bytes:
        return hmac.digest(self.cookie_key, f"{secret}:{purpose}".encode(), "sha256")
