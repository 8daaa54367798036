"""`security-common keys generate`: a new keyring is its owner's alone, and nothing is replaced."""

import sys
from pathlib import Path

import pytest

from security_common.cli import main


def test_a_new_keyring_is_its_owners_alone_and_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keyring = tmp_path / "keyring.json"
    monkeypatch.setattr(sys, "argv", ["security-common", "keys", "generate", str(keyring)])
    main()
    assert keyring.stat().st_mode & 0o777 == 0o600
    made = keyring.read_bytes()
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert (
        "\nhint: to put a new key into a keyring that exists, use `security-common keys add`" in capsys.readouterr().err
    )
    assert keyring.read_bytes() == made
