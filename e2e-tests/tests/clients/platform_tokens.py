"""A platform that signs tokens of its workloads: jobs like those of GitHub Actions, pods like those of Kubernetes."""

import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

GITHUB, CLUSTER = "https://token.actions.githubusercontent.com", "https://kubernetes.default.svc"
POD = "system:serviceaccount:search:indexer"


@dataclass(frozen=True)
class Platform:
    """`audience` is the issuer of auth-service, for which the workloads request tokens."""

    audience: str
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "platform"}))

    def write_key_set(self, path: Path) -> None:
        """Writes the public key."""
        path.write_text(json.dumps({"keys": [self.key.as_dict(private=False)]}))

    def job_token(self, **changes: Any) -> str:
        """The token of a job of the repository 812, on its main branch unless `changes` has other claims."""
        claims = {
            "iss": GITHUB,
            "sub": "repo:octo/deploy:ref:refs/heads/main",
            "repository_id": "812",
            "ref": "refs/heads/main",
            "jti": secrets.token_hex(16),
            **changes,
        }
        return self._sign(claims, lifetime_seconds=300)

    def pod_token(self) -> str:
        """The token of a service account, which the pod sends until it expires."""
        return self._sign({"iss": CLUSTER, "sub": POD}, lifetime_seconds=3600)

    def _sign(self, claims: dict[str, Any], *, lifetime_seconds: int) -> str:
        now = int(time.time())
        times = {"iat": now, "nbf": now, "exp": now + lifetime_seconds}
        header = {"alg": "RS256", "kid": "platform"}
        return jwt.encode(header, {"aud": self.audience, **times, **claims}, self.key)
