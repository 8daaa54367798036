"""A declared client's secret is refused after its `secret_expires_at`."""

import os
from datetime import UTC, datetime
from pathlib import Path

from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.declared_clients import make_client
from auth_service.declaration import DeclaredClient

EXPIRY = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_secret_is_accepted_until_it_expires(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s" * 43)
    now_seconds = EXPIRY.timestamp() - 1
    secrets = ClientSecrets(b"p" * 43, os.urandom, clock=lambda: now_seconds)
    declared = DeclaredClient(client_id="batch", secret_file=tmp_path / "secret", secret_expires_at=EXPIRY)
    client = make_client(declared, secrets)
    assert secrets.matches(client, "s" * 43)
    assert not secrets.matches(client, "t" * 43)
    now_seconds = EXPIRY.timestamp()
    assert not secrets.matches(client, "s" * 43)
