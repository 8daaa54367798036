"""A connection that a client keeps open can be used again after a pause."""

import http.client
import time
from urllib.parse import urlsplit

import pytest

from local_stack.demo_scenario import ServicesApi

HTTPX_KEEPS_IDLE_SECONDS = 5.0


@pytest.mark.parametrize("service", ["auth", "mcp"])
def test_a_connection_is_open_longer_than_clients_keep_it(api: ServicesApi, service: str) -> None:
    url = api.auth_url if service == "auth" else api.mcp_url
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    # Without this, http.client would open another connection.
    connection.auto_open = 0
    connection.connect()
    for pause_seconds in (HTTPX_KEEPS_IDLE_SECONDS + 1, 0.0):
        connection.request("GET", "/livez")
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        time.sleep(pause_seconds)
    connection.close()
