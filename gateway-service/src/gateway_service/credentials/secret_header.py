"""A header with a secret from a file, such as an API key."""

from collections.abc import Mapping

from gateway_service.credentials.changing_secret import ChangingSecret
from gateway_service.declaration import SecretHeader

__all__ = ["SecretHeaderCredential"]


class SecretHeaderCredential:
    """The same secret for all callers."""

    def __init__(self, declared: SecretHeader) -> None:
        self._declared = declared
        self._secret = ChangingSecret(declared.file, setting="credential.secret_file")

    async def headers(self, owner: str) -> Mapping[str, str]:
        """The header."""
        del owner
        return self._header(self._secret.read())

    async def renew(self, owner: str, refused: Mapping[str, str]) -> Mapping[str, str] | None:
        """The header, if the file has another secret by now."""
        del owner
        header = self._header(self._secret.read_again())
        return header if header != refused else None

    async def close(self) -> None:
        """Nothing is in progress."""

    def _header(self, secret: str) -> Mapping[str, str]:
        scheme = self._declared.scheme
        return {self._declared.name: f"{scheme} {secret}" if scheme else secret}
