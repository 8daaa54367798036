"""Items 33 to 39: valid and invalid client assertions of a client whose keys are CLIENT_KEYS."""

import base64
import hmac
import secrets
import time
import warnings
from collections.abc import Mapping

from bad_input import MakeBody, Row
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

ISSUER = "http://localhost:8081"
CLIENT_KEYS = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "okp"}),
}
OTHER_KEYS = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "okp"}),
}
"""The key of another party that uses the client's key id."""


def assertion(
    *,
    algorithm: str = "ES256",
    key: Key | None = None,
    header: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    **changes: object,
) -> MakeBody:
    """A token request of the client `key-holder`.

    `changes` replace claims; None removes one. `header` is that of the assertion besides `alg`: the key id of the key,
    unless it is given.
    """

    def make(_address: str) -> Mapping[str, str]:
        now = int(time.time())
        claims = {"iss": "key-holder", "sub": "key-holder", "aud": ISSUER, "iat": now, "exp": now + 60}
        claims |= {"jti": secrets.token_hex(8), **changes}
        for name in ("iat", "exp", "nbf"):
            if isinstance(changes.get(name), int):
                claims[name] = now + int(str(changes[name]))
        kept = {name: value for name, value in claims.items() if value is not None}
        signer = key or CLIENT_KEYS[algorithm]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # EdDSA has a new name (RFC 9864)
            encoded = jwt.encode(
                {"alg": algorithm, **({"kid": signer.kid} if header is None else header)},
                kept,
                signer,
                algorithms=[algorithm],
            )
        return {
            "grant_type": "client_credentials",
            "client_assertion": encoded,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            **(form or {}),
        }

    return make


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(_address: str) -> Mapping[str, str]:
    made = dict(assertion()(""))
    head = base64url(b'{"alg":"none"}')
    return {**made, "client_assertion": f"{head}.{made['client_assertion'].split('.')[1]}."}


def signed_with_the_public_key(_address: str) -> Mapping[str, str]:
    made = dict(assertion()(""))
    payload = made["client_assertion"].split(".")[1]
    signed = base64url(b'{"alg":"HS256","kid":"rsa"}') + "." + payload
    signature = hmac.digest(CLIENT_KEYS["RS256"].as_pem(private=False), signed.encode(), "sha256")
    return {**made, "client_assertion": f"{signed}.{base64url(signature)}"}


ASSERTIONS = (
    *(Row(item="33", case=f"valid, {name}", body=assertion(algorithm=name), status=200) for name in CLIENT_KEYS),
    Row(item="39", case="the token endpoint as aud", body=assertion(aud=f"{ISSUER}/oauth2/token"), status=200),
    Row(item="39", case="the issuer with a slash as aud", body=assertion(aud=f"{ISSUER}/"), status=200),
    *(
        Row(item=item, case=case, body=body, status=401, error="invalid_client", rule=rule)
        for item, case, body, rule in (
            ("33", "another aud", assertion(aud="https://other.example"), "is_for_this_server"),
            ("33", "no aud", assertion(aud=None), "is_for_this_server"),
            ("34", "expired", assertion(exp=-60), "has_valid_expiry"),
            ("34", "an hour ahead", assertion(exp=3600), "has_valid_expiry"),
            ("34", "no exp", assertion(exp=None), None),
            ("34", "exp as text", assertion(exp="soon"), None),
            ("34", "not yet", assertion(nbf=120), "has_started"),
            ("35", "no jti", assertion(jti=None), "has_an_id"),
            ("35", "jti a number", assertion(jti=7), "has_an_id"),
            ("36", "another iss", assertion(iss="mcp-client"), "names_this_client"),
            ("36", "an unknown sub", assertion(sub="unknown", iss="unknown"), None),
            ("37", "alg none", unsigned, None),
            ("37", "HS256 with the public key", signed_with_the_public_key, None),
            *(
                ("37", f"another key, {name}", assertion(algorithm=name, key=key), None)
                for name, key in OTHER_KEYS.items()
            ),
            ("37", "another type", assertion(form={"client_assertion_type": "x"}), "refuse_other_assertion_types"),
            ("37", "no JWT", assertion(form={"client_assertion": "a.b.c"}), None),
            ("37", "deep JSON", assertion(form={"client_assertion": f"e30.{'W1tb' * 1500}.x"}), None),
            ("38", "client_id of another", assertion(form={"client_id": "mcp-client"}), None),
            ("39", "two audiences", assertion(aud=[ISSUER, "https://other.example"]), "is_for_this_server"),
        )
    ),
    Row(
        item="27",
        case="assertion and secret",
        body=assertion(form={"client_secret": "secret", "client_id": "key-holder"}),
        status=400,
        error="invalid_request",
        rule="refuse_two_methods",
    ),
)
