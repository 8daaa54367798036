"""Client authentication at a token endpoint: client_secret_basic, client_secret_post, private_key_jwt."""

import base64
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote_plus

from gateway_service.credentials.changing_secret import ChangingSecret
from gateway_service.declaration import OAuthClient
from security_common.secret_files import SecretMissing

__all__ = ["ClientAuthentication"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFETIME_SECONDS = 60

_ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}


class ClientAuthentication:
    """Adds the proof of one client to its token requests. The file of its secret or key may change."""

    def __init__(self, client: OAuthClient) -> None:
        self._client_id = client.client_id
        self._has_key = client.key_file is not None
        setting = "key_file" if self._has_key else "secret_file"
        self._secret = ChangingSecret(client.file, setting=f"{setting} of {client.client_id}")

    def complete(
        self, form: Mapping[str, str], issuer: str, metadata: Mapping[str, Any]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """The fields and the headers of the request. `metadata` is that of the issuer. Raises `SecretMissing`."""
        secret = self._secret.read()
        if self._has_key:
            assertion = _make_assertion(secret, client_id=self._client_id, issuer=issuer)
            proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
            return {**form, "client_id": self._client_id, **proof}, {}
        if _accepts_basic(metadata):
            # RFC 6749 section 2.3.1: both are form-encoded before they are joined.
            pair = f"{quote_plus(self._client_id)}:{quote_plus(secret)}"
            return dict(form), {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        return {**form, "client_id": self._client_id, "client_secret": secret}, {}


def _accepts_basic(metadata: Mapping[str, Any]) -> bool:
    """client_secret_basic is the default of issuers that name no methods (RFC 8414 section 2)."""
    methods: Any = metadata.get("token_endpoint_auth_methods_supported")
    return not isinstance(methods, list) or "client_secret_basic" in methods or "client_secret_post" not in methods


def _make_assertion(key_text: str, *, client_id: str, issuer: str) -> str:
    """A JWT with which the client identifies itself once (RFC 7523 section 3). Raises `SecretMissing` for another key.

    The audience is the issuer alone (draft-ietf-oauth-rfc7523bis).
    """
    # These take time and memory to load, and most gateways have no key.
    from joserfc import jwt  # noqa: PLC0415
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import import_key  # noqa: PLC0415

    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "iat": now,
        "exp": now + ASSERTION_LIFETIME_SECONDS,
        "jti": secrets.token_urlsafe(16),
    }
    try:
        members = cast("dict[str, Any]", json.loads(key_text))
        algorithm = _ALGORITHMS[members["kty"]]
        header = {"alg": algorithm, "typ": "JWT"} | ({"kid": members["kid"]} if "kid" in members else {})
        return jwt.encode(header, claims, import_key(members), algorithms=[algorithm])
    except (JoseError, ValueError, TypeError, KeyError) as failure:
        raise SecretMissing(
            "`key_file` of the credential is not a private key",
            hint="it must contain a private JWK (RFC 7517): RSA or P-256",
        ) from failure
