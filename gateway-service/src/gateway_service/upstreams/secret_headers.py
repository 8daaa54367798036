"""The headers with which the gateway identifies itself to an upstream: declared ones, and one with a secret."""

from gateway_service.declaration import UpstreamDeclaration
from security_common.secret_files import read_secret_file

__all__ = ["SecretHeaders"]

_HINT = "`credential.secret_file` in gateway.yaml names a file with the secret alone"


class SecretHeaders:
    """Reads the secret file again when it has changed, so that a secret can be replaced without a restart."""

    def __init__(self, declaration: UpstreamDeclaration) -> None:
        self._declared = dict(declaration.headers)
        self._credential = declaration.credential
        self._read_state: tuple[int, int] | None = None
        self._headers = self._declared

    def current(self) -> dict[str, str]:
        """The headers for a request. Raises `SecretMissing` if the file cannot be read."""
        credential = self._credential
        if credential is None:
            return self._declared
        try:
            status = credential.file.stat()
            state = (status.st_mtime_ns, status.st_ino)
        except OSError:
            state = None  # reading it raises an error that names the file
        if state is None or state != self._read_state:
            secret = read_secret_file(credential.file, setting="credential.secret_file", hint=_HINT)
            value = f"{credential.scheme} {secret}" if credential.scheme else secret
            self._headers = {**self._declared, credential.name: value}
            self._read_state = state
        return self._headers
