"""Workloads of two platforms: jobs shaped like those of GitHub Actions, and pods of a cluster whose keys are a file."""

import json
import secrets
import time
from pathlib import Path
from typing import Any

import httpx2
from joserfc import jwk
from openid_provider import OpenIdProvider, sign
from running_auth import Service, StartService

from auth_service.protocol import GrantType

JWT_BEARER = GrantType.JWT_BEARER.value
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLUSTER = "https://kubernetes.default.svc"
CLUSTER_KEY = jwk.RSAKey.generate_key(2048, {"kid": "cluster"})
POD = "system:serviceaccount:search:indexer"

DECLARATION = """
workload_issuers:
  - {{id: jobs, kind: github, issuer: {issuer}}}
  - {{id: cluster, kind: kubernetes, issuer: "https://kubernetes.default.svc", jwks_file: cluster.jwks}}
  - {{id: away, issuer: "http://localhost:9", audience: mcp}}
clients:
  - client_id: deploy
    grant_types: [client_credentials, "urn:ietf:params:oauth:grant-type:jwt-bearer"]
    scopes: [mcp.access, mcp.decrypt]
    workloads: [{{issuer: jobs, when: {{repository_id: "812", ref: refs/heads/main}}}}]
  - client_id: only-assertions
    grant_types: ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    workloads: [{{issuer: jobs, when: {{repository_id: "812", ref: refs/heads/assertions}}}}]
  - client_id: only-credentials
    workloads: [{{issuer: jobs, when: {{repository_id: "812", ref: refs/heads/credentials}}}}]
  - client_id: indexer
    grant_types: [client_credentials, "urn:ietf:params:oauth:grant-type:jwt-bearer"]
    workloads: [{{issuer: cluster, when: {{sub: "system:serviceaccount:search:indexer"}}}}]
  - client_id: one-team
    workloads: [{{issuer: away, when: {{team: one}}}}]
  - client_id: with-secret
    secret_file: secret
    grant_types: [client_credentials, "urn:ietf:params:oauth:grant-type:jwt-bearer"]
"""


def start_with_workloads(start_service: StartService, folder: Path, platform: OpenIdProvider, **more: Any) -> Service:
    (folder / "cluster.jwks").write_text(json.dumps({"keys": [CLUSTER_KEY.as_dict(private=False)]}))
    (folder / "secret").write_text("secret")
    (folder / "auth.yaml").write_text(DECLARATION.format(issuer=platform.issuer))
    return start_service(config=folder / "auth.yaml", demo=False, trusted_proxies="127.0.0.1", **more)


def job_token(
    platform: OpenIdProvider, service: Service, *, key: jwk.Key | None = None, header: Any = None, **changes: Any
) -> str:
    """The token of a job. `changes` replace claims, and None removes one; times are seconds from now."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": platform.issuer,
        "aud": service.issuer,
        "sub": "repo:octo/deploy:ref:refs/heads/main",
        "repository": "octo/deploy",
        "repository_id": "812",
        "ref": "refs/heads/main",
        "jti": secrets.token_hex(8),
        "iat": now,
        "nbf": now - 60,
        "exp": now + 300,
        **changes,
    }
    for name in ("iat", "nbf", "exp"):
        if isinstance(changes.get(name), int):
            claims[name] = now + int(changes[name])
    kept = {name: value for name, value in claims.items() if value is not None}
    return sign({"alg": "RS256", "kid": "first", "typ": "JWT", **(header or {})}, kept, key or platform.key)


def pod_token(service: Service, **changes: Any) -> str:
    """The token of a service account, as the API server of Kubernetes signs it: a list as audience, no typ."""
    now = int(time.time())
    claims = {
        "iss": CLUSTER,
        "aud": [service.issuer],
        "sub": POD,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "kubernetes.io": {"namespace": "search", "serviceaccount": {"name": "indexer", "uid": "1b2c"}},
        **changes,
    }
    return sign({"alg": "RS256", "kid": "cluster"}, claims, CLUSTER_KEY)


def send_assertion(service: Service, token: str | None, *, auth: Any = None, **changes: str) -> httpx2.Response:
    """The token as an authorization grant (RFC 7523 section 2.1), without client authentication by default."""
    form = {"grant_type": JWT_BEARER, **({"assertion": token} if token is not None else {}), **changes}
    return service.http.post("/oauth2/token", data=form, auth=auth)


def send_client_assertion(service: Service, token: str, **changes: str) -> httpx2.Response:
    """The token for client authentication (RFC 7523 section 2.2)."""
    form = {
        "grant_type": "client_credentials",
        "client_assertion": token,
        "client_assertion_type": ASSERTION_TYPE,
        **changes,
    }
    return service.http.post("/oauth2/token", data=form)
