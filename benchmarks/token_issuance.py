"""How many tokens auth-service issues, compared with the RSA signatures of one CPU.

    python benchmarks/token_issuance.py [--rounds 5] [--seconds 2]

Rounds of `openssl speed rsa2048` and of token requests alternate on the same CPU, so that other work on the machine
affects both. The service runs as in production: `auth-service serve`, Redis, and the journal on disk.
"""

import argparse
import asyncio
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
from itertools import repeat
from pathlib import Path
from typing import Any

from http_load import SERVER_CPU, Measured, Server, measure, medians, pin_load

from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer
from security_common.encryption import Keyring

WARM_UP_SECONDS = 1
BODY = b"grant_type=client_credentials&client_id=mcp-client&client_secret=secret&scope=mcp.access"
REQUEST = (
    b"POST /oauth2/token HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    b"content-length: %d\r\n\r\n" % len(BODY)
) + BODY


def signatures_per_second(seconds: int) -> float:
    """RSA-2048 signatures per second of the server's CPU."""
    command = ["taskset", "-c", str(SERVER_CPU), "openssl", "speed", "-seconds", str(seconds), "rsa2048"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = re.search(r"rsa\s+2048 bits\s+\S+\s+\S+\s+([\d.]+)", printed)
    if line is None:
        raise RuntimeError(f"unexpected output of openssl: {printed}")
    return float(line[1])


def start_service(folder: Path, port: int, redis_url: str) -> Server:
    return Server(port, [service_program(), "serve"], environment=service_environment(folder, port, redis_url))


def service_program() -> str:
    """The command of auth-service."""
    return str(Path(sys.executable).with_name("auth-service"))


def service_environment(folder: Path, port: int, redis_url: str) -> dict[str, str]:
    """The environment of auth-service, whose secrets are written to the folder."""
    secret_files = {
        "kek": Keyring.generate().dump(),
        "pepper": secrets.token_urlsafe(32),
        "cookie": secrets.token_urlsafe(),
    }
    for name, content in secret_files.items():
        (folder / name).write_text(content)
    return {
        **os.environ,
        "AUTH_DEMO": "true",
        "AUTH_PORT": str(port),
        "AUTH_ISSUER": f"http://localhost:{port}",
        "AUTH_REDIS_URL": redis_url,
        "AUTH_SIGNING_KEY_KEK_FILE": str(folder / "kek"),
        "AUTH_SECRET_PEPPER_FILE": str(folder / "pepper"),
        "AUTH_COOKIE_KEY_FILE": str(folder / "cookie"),
        "AUTH_LOG_LEVEL": "error",
        "SECURITY_AUDIT_DIR": str(folder / "audit"),
    }


async def run(service: Server, rounds: int, seconds: int) -> dict[str, Any]:
    """Measures signatures and tokens in turn."""
    requests = repeat(REQUEST)
    await measure(service, requests, WARM_UP_SECONDS)
    measured: list[Measured] = []
    tokens_per_signature: list[float] = []
    signatures_per_token: list[float] = []
    for _ in range(rounds):
        signatures = signatures_per_second(seconds)
        tokens = await measure(service, requests, seconds)
        measured.append(tokens)
        tokens_per_signature.append(tokens.rate / signatures)
        signatures_per_token.append(tokens.cpu * signatures)
    return {
        "tokens": medians(measured),
        "tokens/s over signatures/s": round(statistics.median(tokens_per_signature), 2),
        "CPU of a token in signatures": round(statistics.median(signatures_per_token), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    arguments = parser.parse_args()
    port, redis_port = free_ports(2)
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder) / "redis", redis_port) as redis:
        service = start_service(Path(folder), port, redis.url)
        pin_load()
        try:
            figures = asyncio.run(run(service, arguments.rounds, arguments.seconds))
        finally:
            service.stop()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
