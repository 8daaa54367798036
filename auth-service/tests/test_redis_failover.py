"""The loss of the primary Redis: what was confirmed is still there, and the service recovers without a restart."""

import logging
import threading
import time
from pathlib import Path
from typing import Any, Self

import pytest
from running_auth import StartService

from local_stack.replicated_redis import ReplicatedRedis

pytestmark = pytest.mark.ops
REDIRECT_URI = "http://127.0.0.1/callback"
# After the three seconds in which the Sentinels wait for the primary, they replace it in less than a second.
RECOVERY_SECONDS = 60

logger = logging.getLogger(__name__)


class Registrations:
    """Registers clients one after the other. `confirmed` are the ids of those that were answered with 201."""

    def __init__(self, http: Any) -> None:
        self.confirmed: list[str] = []
        self.refused: list[tuple[int, str | None]] = []
        self._http = http
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_stopped.set()
        self._thread.join()

    def wait_for(self, number: int) -> float:
        """Waits for this many confirmed registrations; returns how long it took, in seconds."""
        began = time.monotonic()
        while len(self.confirmed) < number:
            assert time.monotonic() - began < RECOVERY_SECONDS, self.refused[-3:]
            time.sleep(0.01)
        return time.monotonic() - began

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            answer = self._http.post("/oauth2/register", json={"redirect_uris": [REDIRECT_URI]})
            if answer.status_code == 201:
                self.confirmed.append(answer.json()["client_id"])
            else:
                self.refused.append((answer.status_code, answer.headers.get("retry-after")))


def test_no_registration_is_lost_with_the_primary(start_service: StartService, tmp_path: Path) -> None:
    with ReplicatedRedis(tmp_path) as servers:
        service = start_service(
            redis_url=servers.sentinel_url, redis_durability="replica", registrations_per_hour=1_000_000
        )
        with Registrations(service.http) as registrations:
            registrations.wait_for(20)
            servers.primary.kill()
            seconds = registrations.wait_for(len(registrations.confirmed) + 20)
        logger.info("recovered after %.1f s, %d requests refused meanwhile", seconds, len(registrations.refused))
        assert {status for status, _ in registrations.refused} <= {503}
        assert all(retry_after is not None for _, retry_after in registrations.refused)
        missing = [client_id for client_id in registrations.confirmed if not is_known(service.http, client_id)]
        assert missing == []
        assert service.http.get("/readyz").status_code == 200


def is_known(http: Any, client_id: str) -> bool:
    """Whether the client can begin a sign-in: an unknown one gets a page with an error."""
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": REDIRECT_URI,
        "code_challenge": "a" * 43,
        "code_challenge_method": "S256",
    }
    return http.get("/oauth2/authorize", params=parameters, follow_redirects=False).status_code in {200, 302, 303}
