"""72 tokens that a resource server must accept or refuse. Each differs in one property from a valid token.

They are signed with the issuer's key unless the row says otherwise, so that the rest of the token decides the result.
The tests of the verifier and the test of the running service use this table.
"""

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256, SHA512

from local_stack.loopback_issuer import LoopbackIssuer, Signer, compact, private_key, rs256, signing_key

__all__ = ["ROWS", "TokenRow"]

HOUR = 3600


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token and whether it must be accepted."""

    name: str
    make: Callable[[LoopbackIssuer], str]
    accepted: bool = False


def _valid(**changes: Any) -> Callable[[LoopbackIssuer], str]:
    return lambda issuer: issuer.token(**changes)


def _header(**members: Any) -> Callable[[LoopbackIssuer], str]:
    return lambda issuer: issuer.token(header=members)


def _later(**seconds: float) -> Callable[[LoopbackIssuer], str]:
    def make(issuer: LoopbackIssuer) -> str:
        changes: dict[str, Any] = {name: int(issuer.now() + offset) for name, offset in seconds.items()}
        return issuer.token(**changes)

    return make


def _payload(payload: bytes) -> Callable[[LoopbackIssuer], str]:
    return lambda issuer: issuer.sign(payload)


def _edited(edit: Callable[[str], str]) -> Callable[[LoopbackIssuer], str]:
    """The payload of a valid token, edited as text before signing, for JSON that a library would not write."""
    return lambda issuer: issuer.sign(edit(json.dumps(issuer.claims())).encode())


def _exp(literal: str) -> Callable[[LoopbackIssuer], str]:
    def make(issuer: LoopbackIssuer) -> str:
        claims = json.dumps(issuer.claims())
        return issuer.sign(claims.replace(str(issuer.claims()["exp"]), literal).encode())

    return make


def _resigned(alg: str, sign: Signer) -> Callable[[LoopbackIssuer], str]:
    header = json.dumps({"alg": alg, "typ": "at+jwt", "kid": "first"}).encode()
    return lambda issuer: compact(header, json.dumps(issuer.claims()).encode(), sign)


def _raw_header(header: bytes) -> Callable[[LoopbackIssuer], str]:
    return lambda issuer: compact(header, json.dumps(issuer.claims()).encode(), rs256("first"))


def _reshaped(reshape: Callable[[str], str]) -> Callable[[LoopbackIssuer], str]:
    return lambda issuer: reshape(issuer.token())


def _hmac_with_public_key(signed: bytes) -> bytes:
    return hmac.digest(signing_key("first").as_pem(private=False), signed, "sha256")


def _signed_with_unpublished_key(**members: Any) -> Callable[[LoopbackIssuer], str]:
    """Signed with an unpublished key, with the key id of a published one."""
    return lambda issuer: issuer.token(key="unpublished", header={"kid": "first"} | members)


def _deep(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def _with_standard_alphabet(token: str) -> str:
    head, signature = token.rsplit(".", 1)
    return f"{head}.{signature.replace('-', '+').replace('_', '/')}=="


def _json_serialised(token: str) -> str:
    protected, payload, signature = token.split(".")
    return json.dumps({"protected": protected, "payload": payload, "signature": signature})


def _public_jwk() -> dict[str, Any]:
    return dict(signing_key("unpublished").as_dict(private=False))


def _rs512(signed: bytes) -> bytes:
    return private_key("first").sign(signed, PKCS1v15(), SHA512())


def _ps256(signed: bytes) -> bytes:
    return private_key("first").sign(signed, PSS(MGF1(SHA256()), PSS.DIGEST_LENGTH), SHA256())


ROWS = (
    TokenRow("valid", _valid(), accepted=True),
    TokenRow("alg none, empty signature", _resigned("none", lambda _: b"")),
    TokenRow("alg NoNe", _resigned("NoNe", lambda _: b"")),
    TokenRow("HS256 with the public key as secret", _resigned("HS256", _hmac_with_public_key)),
    TokenRow("RS512", _resigned("RS512", _rs512)),
    TokenRow("PS256", _resigned("PS256", _ps256)),
    TokenRow("typ JWT: an ID token", _header(typ="JWT")),
    TokenRow("typ missing", _header(typ=None)),
    TokenRow("typ application/at+jwt", _header(typ="application/at+jwt"), accepted=True),
    TokenRow("typ AT+JWT", _header(typ="AT+JWT"), accepted=True),
    TokenRow("unpublished key, embedded jwk", _signed_with_unpublished_key(jwk=_public_jwk())),
    TokenRow("unpublished key, jku", _signed_with_unpublished_key(jku="http://127.0.0.1:1/keys")),
    TokenRow("valid signature, jku ignored", _header(jku="http://127.0.0.1:1/keys"), accepted=True),
    TokenRow("kid is a path", _header(kid="../../etc/passwd")),
    TokenRow("kid is SQL", _header(kid="' OR '1'='1")),
    TokenRow("kid is a number", _header(kid=1)),
    TokenRow("kid missing", _header(kid=None)),
    TokenRow("kid unknown, valid signature", _header(kid="second")),
    TokenRow("crit unknown", _header(crit=["exotic"], exotic=True)),
    TokenRow("b64 false", _header(b64=False, crit=["b64"])),
    TokenRow("zip ignored", _header(zip="DEF"), accepted=True),
    TokenRow("aud other", _valid(aud="http://localhost:9999/mcp")),
    TokenRow("aud missing", _valid(aud=None)),
    TokenRow("aud a list with ours", lambda issuer: issuer.token(aud=["x", issuer.audience]), accepted=True),
    TokenRow("aud with a trailing slash", lambda issuer: issuer.token(aud=f"{issuer.audience}/")),
    TokenRow("aud a number", _valid(aud=1)),
    TokenRow("iss other", _valid(iss="http://127.0.0.1:1")),
    TokenRow("iss with a trailing slash", lambda issuer: issuer.token(iss=f"{issuer.url}/")),
    TokenRow("iss missing", _valid(iss=None)),
    TokenRow("expired an hour ago", _later(exp=-HOUR)),
    TokenRow("exp missing", _valid(exp=None)),
    TokenRow("exp a string", lambda issuer: issuer.token(exp=str(int(issuer.now() + HOUR)))),
    TokenRow("exp a float", lambda issuer: issuer.token(exp=issuer.now() + HOUR + 0.5), accepted=True),
    TokenRow("exp null", _exp("null")),
    TokenRow("exp negative", _valid(exp=-1)),
    TokenRow("exp 1e400", _exp("1e400")),
    TokenRow("exp NaN", _exp("NaN")),
    TokenRow("nbf in an hour", _later(nbf=HOUR)),
    TokenRow("iat in an hour", _later(iat=HOUR, exp=2 * HOUR)),
    TokenRow("nbf a string", _valid(nbf="0")),
    TokenRow("sub missing", _valid(sub=None)),
    TokenRow("sub a number", _valid(sub=1)),
    TokenRow("client_id missing", _valid(client_id=None)),
    TokenRow("jti missing", _valid(jti=None)),
    TokenRow("scope missing", _valid(scope=None), accepted=True),
    TokenRow("scope a number", _valid(scope=1)),
    TokenRow("aud twice", _edited(lambda text: text.replace("{", '{"aud":"http://evil.example",', 1))),
    TokenRow("payload an array", _payload(b"[1]")),
    TokenRow("payload not JSON", _payload(b"not json")),
    TokenRow("payload bad UTF-8", _payload(b'{"iss":"\xff"}')),
    TokenRow("signature truncated", _reshaped(lambda token: token[:-8])),
    TokenRow("signature in standard base64 with padding", _reshaped(_with_standard_alphabet)),
    TokenRow("four parts", _reshaped(lambda token: f"{token}.eA")),
    TokenRow("two parts", _reshaped(lambda token: token.rsplit(".", 1)[0])),
    TokenRow("whitespace inside", _reshaped(lambda token: token.replace(".", ". ", 1))),
    TokenRow("empty", _reshaped(lambda _: "")),
    TokenRow("dots", _reshaped(lambda _: "..")),
    TokenRow("payload 2,500 deep", _edited(lambda text: text.replace("{", '{"x":' + "[" * 2500 + "]" * 2500 + ",", 1))),
    TokenRow("5 MB", _edited(lambda text: text.replace("{", '{"x":"' + "x" * 5_000_000 + '",', 1))),
    TokenRow("JSON serialised", _reshaped(_json_serialised)),
    TokenRow("header 900 deep", _raw_header(_deep(900))),
    TokenRow("header 1,500 deep", _raw_header(_deep(1500))),
    TokenRow("header an array", _raw_header(b"[]")),
    TokenRow("header null", _raw_header(b"null")),
    TokenRow("header a string", _raw_header(b'"RS256"')),
    TokenRow("kid a list", _header(kid=["first"])),
    TokenRow("kid an object", _header(kid={"first": 1})),
    TokenRow("kid null", _raw_header(b'{"alg":"RS256","typ":"at+jwt","kid":null}')),
    TokenRow("alg a list", _header(alg=["RS256"])),
    TokenRow("alg a number", _header(alg=256)),
    TokenRow("not ASCII", _reshaped(lambda token: token + "\xe9")),
    TokenRow("a lone surrogate", _reshaped(lambda token: token + "\ud800")),
)
