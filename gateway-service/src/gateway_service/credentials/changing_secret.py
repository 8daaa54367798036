"""A secret in a file, read again when the file has changed, so that it can be replaced without a restart."""

from pathlib import Path

from security_common.secret_files import read_secret_file

__all__ = ["ChangingSecret"]

_HINT = "the file that gateway.yaml names for this credential contains the secret alone"


class ChangingSecret:
    """Reads one file. `setting` is the member of gateway.yaml that names it."""

    def __init__(self, file: Path, *, setting: str) -> None:
        self._file = file
        self._setting = setting
        self._read_state: tuple[int, int] | None = None
        self._secret = ""

    def read(self) -> str:
        """The secret. Raises `SecretMissing` if the file cannot be read."""
        try:
            status = self._file.stat()
            state = (status.st_mtime_ns, status.st_ino)
        except OSError:
            state = None  # reading it raises an error that names the file
        if state is None or state != self._read_state:
            self._secret = read_secret_file(self._file, setting=self._setting, hint=_HINT)
            self._read_state = state
        return self._secret

    def read_again(self) -> str:
        """The secret, also if the file seems unchanged. Raises `SecretMissing`."""
        self._read_state = None
        return self.read()
