"""Tokens like those of Entra ID, Auth0, Okta, Keycloak, Cognito and Google, verified with the vendors' presets."""

import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey

from local_stack.loopback_issuer import LoopbackIssuer, compact, signing_key
from local_stack.vendor_tokens import VENDOR_TOKENS, VendorToken
from security_common.service import read_trusted_issuers
from security_common.tokens import AccessToken, TokenRejected, TokenVerifier, TrustedIssuer

NOW = 1_800_000_000.0
ACCEPTED = [token for token in VENDOR_TOKENS if not token.refused_as]
REFUSED = [token for token in VENDOR_TOKENS if token.refused_as]
# One token for each vendor, to vary what all of them have.
ONE_EACH = list({token.vendor: token for token in reversed(ACCEPTED)}.values())
SIGNING_JWK = signing_key("evil").as_dict(private=False)

pytestmark = pytest.mark.anyio
Verify = Callable[[str], Any]


@asynccontextmanager
async def trusting(row: VendorToken, http, **members: Any) -> AsyncIterator[tuple[LoopbackIssuer, Verify]]:
    """An issuer of the vendor, and `verify` of a verifier that trusts it."""
    async with LoopbackIssuer(path=row.path, now=lambda: NOW) as issuer:
        trusted = read_trusted_issuers([row.entry_for(issuer) | members], setting="MCP_TRUSTED_ISSUERS")
        verifier = TokenVerifier(trusted, http=http, clock=lambda: NOW)
        yield issuer, verifier.verify
        await verifier.stop()


async def reason_for(verify: Verify, token: str) -> str:
    with pytest.raises(TokenRejected) as rejected:
        await verify(token)
    return rejected.value.reason


@pytest.mark.parametrize("row", ACCEPTED, ids=lambda row: row.id)
async def test_an_access_token_is_accepted(row: VendorToken, http):
    async with trusting(row, http) as (issuer, verify):
        token: AccessToken = await verify(row.sign(issuer))
        assert (token.client_id, token.token_id, token.scopes) == (row.client_id, row.token_id, row.scopes)
        assert token.issuer == issuer.issuer


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.id)
async def test_another_token_of_the_same_issuer_is_refused(row: VendorToken, http):
    async with trusting(row, http) as (issuer, verify):
        assert await reason_for(verify, row.sign(issuer)) == row.refused_as


def with_slash_toggled(issuer: str) -> str:
    return issuer.removesuffix("/") if issuer.endswith("/") else f"{issuer}/"


@pytest.mark.parametrize("row", ONE_EACH, ids=lambda row: row.vendor)
async def test_an_invalid_token_is_refused(row: VendorToken, http):
    async with trusting(row, http) as (issuer, verify):
        evil: dict[str, Any] = {"key": "evil"}
        tokens = {
            "wrong_audience": [row.sign(issuer, **{row.audience_claim: "https://other.example"})],
            "expired": [row.sign(issuer, exp=int(NOW) - 31)],
            "not_yet_valid": [row.sign(issuer, nbf=int(NOW) + 31), row.sign(issuer, iat=int(NOW) + 31)],
            "unknown_issuer": [row.sign(issuer, iss=with_slash_toggled(issuer.issuer))],
            "wrong_type": [row.sign(issuer, header={"typ": typ}) for typ in ("logout+jwt", "dpop+jwt", "id_token")],
            "bad_claim": [row.sign(issuer, exp=None), row.sign(issuer, exp="never"), row.sign(issuer, iat=True)],
            "bad_signature": [
                row.sign(issuer, header={"kid": "first", **header}, **evil)
                for header in (
                    {},
                    {"jku": "https://evil.example/keys"},
                    {"x5u": "https://evil.example/certificate"},
                    {"jwk": SIGNING_JWK},
                )
            ],
            "wrong_algorithm": [
                compact(header("HS256"), payload(issuer, row), hmac_with_public_key),
                compact(header("none"), payload(issuer, row), lambda _: b"x"),
                row.sign(issuer, header={"alg": "RS512"}),
            ],
            "malformed": [compact(header("none"), payload(issuer, row), lambda _: b"")],
            "too_long": [row.sign(issuer, padding="x" * 16 * 1024)],
        }
        for reason, refused in tokens.items():
            for token in refused:
                assert await reason_for(verify, token) == reason
        assert await reason_for(verify, row.sign(issuer, sub=None)) in {"bad_claim", "wrong_type"}


def header(algorithm: str) -> bytes:
    return json.dumps({"alg": algorithm, "typ": "JWT", "kid": "first"}).encode()


def payload(issuer: LoopbackIssuer, row: VendorToken) -> bytes:
    return json.dumps(issuer.claims(**row.changes)).encode()


def hmac_with_public_key(signed: bytes) -> bytes:
    return hmac.digest(signing_key("first").as_pem(private=False), signed, "sha256")


@pytest.mark.parametrize("row", ONE_EACH, ids=lambda row: row.vendor)
async def test_a_role_or_group_without_a_mapping_gives_no_scope(row: VendorToken, http):
    async with trusting(row, http, roles={}, groups={}, scope_claim="scope") as (issuer, verify):
        names = ["mcp.access", "mcp.audit"]
        roles = {"roles": names, "groups": names, "realm_access": {"roles": names}, "cognito:groups": names}
        token: AccessToken = await verify(row.sign(issuer, scope=None, **roles))
        assert token.scopes == frozenset()


@pytest.mark.parametrize("row", ONE_EACH, ids=lambda row: row.vendor)
async def test_a_declaration_can_replace_values_of_a_preset(row: VendorToken, http):
    changed = {"typ": ["at+jwt"], "client_claim": "app", "scope_claim": "allowed", "token_id_claim": "number"}
    changed |= {"audience_claim": "for", "audience": ["one", "two"], "claims": {}, "required_claims": ["app"]}
    async with trusting(row, http, **changed) as (issuer, verify):
        claims = {"app": row.client_id or "my-app", "allowed": "a b", "number": "7", "for": "two"}
        token: AccessToken = await verify(row.sign(issuer, header={"typ": "at+jwt"}, **claims))
        assert token.scopes >= {"a", "b"}
        assert (token.token_id, token.audience) == ("7", ("two",))
        assert await reason_for(verify, row.sign(issuer, header={"typ": "at+jwt"}, **claims | {"for": "three"}))


EC_KEY, ED_KEY = ECKey.generate_key("P-256", {"kid": "ec"}), OKPKey.generate_key("Ed25519", {"kid": "ed"})


REGISTRY = jws.JWSRegistry(algorithms=["PS256", "ES256", "Ed25519"])


def signed_with(issuer: LoopbackIssuer, algorithm: str, kid: str, *, named: str = "") -> str:
    """A token that is signed with one key and names it, or another one."""
    key = {"ec": EC_KEY, "ed": ED_KEY, "first": signing_key("first")}[kid]
    model = REGISTRY.get_alg("Ed25519" if algorithm == "EdDSA" else algorithm)
    members = json.dumps({"alg": algorithm, "typ": "at+jwt", "kid": named or kid}).encode()
    return compact(members, json.dumps(issuer.claims()).encode(), lambda signed: model.sign(signed, key))


@pytest.mark.parametrize(
    ("declared", "algorithm", "kid"),
    [("PS256", "PS256", "first"), ("ES256", "ES256", "ec"), ("EdDSA", "EdDSA", "ed"), ("EdDSA", "Ed25519", "ed")],
)
async def test_another_algorithm_is_accepted_where_it_is_declared(declared: str, algorithm: str, kid: str, http):
    async with LoopbackIssuer(now=lambda: NOW) as issuer:
        issuer.keys |= {"ec": EC_KEY, "ed": ED_KEY}
        entry = {"issuer": issuer.issuer, "audience": issuer.audience}
        for algorithms, reason in (([declared], ""), (["RS256"], "wrong_algorithm")):
            trusted = read_trusted_issuers([entry | {"algorithms": algorithms}], setting="MCP_TRUSTED_ISSUERS")
            verifier = TokenVerifier(trusted, http=http, clock=lambda: NOW)
            if reason:
                assert await reason_for(verifier.verify, signed_with(issuer, algorithm, kid)) == reason
            else:
                assert (await verifier.verify(signed_with(issuer, algorithm, kid))).subject == "u_tester"
                assert await reason_for(verifier.verify, issuer.token()) == "wrong_algorithm"
            await verifier.stop()


@pytest.mark.parametrize("algorithms", [(), ("HS256",), ("none",), ("RS256", "HS512"), ("RS512",)])
def test_an_algorithm_that_is_not_offered_cannot_be_declared(algorithms: tuple[str, ...]):
    with pytest.raises(ValueError, match="RS256, PS256, ES256, EdDSA"):
        TrustedIssuer("https://login.example", "x", algorithms=algorithms)


async def test_a_key_is_used_only_with_its_own_algorithm(http):
    async with LoopbackIssuer(now=lambda: NOW) as issuer:
        issuer.keys |= {"ec": EC_KEY, "ed": ED_KEY}
        entry = {
            "issuer": issuer.issuer,
            "audience": issuer.audience,
            "algorithms": ["RS256", "PS256", "ES256", "EdDSA"],
        }
        verifier = TokenVerifier(read_trusted_issuers([entry], setting=""), http=http, clock=lambda: NOW)
        for algorithm, kid in (("PS256", "first"), ("ES256", "ec"), ("EdDSA", "ed")):
            await verifier.verify(signed_with(issuer, algorithm, kid))
            for other in {"first", "ec", "ed"} - {kid}:
                assert (
                    await reason_for(verifier.verify, signed_with(issuer, algorithm, kid, named=other))
                    == "bad_signature"
                )
        await verifier.stop()
