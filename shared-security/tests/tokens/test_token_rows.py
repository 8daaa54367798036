"""A table of 72 valid and invalid tokens, verified in this process."""

import pytest

from local_stack.loopback_issuer import LoopbackIssuer, base64url
from local_stack.token_rows import ROWS, TokenRow
from security_common.tokens import TokenRejected, TokenVerifier, TrustedIssuer

NOW = 1_800_000_000.0
pytestmark = pytest.mark.anyio


def test_the_table_has_72_different_tokens():
    assert len(ROWS) == 72
    assert len({row.name for row in ROWS}) == 72


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_each_token_is_accepted_or_rejected(row: TokenRow, http):
    async with LoopbackIssuer(now=lambda: NOW) as issuer:
        verifier = TokenVerifier([TrustedIssuer(issuer.url, issuer.audience)], http=http, clock=lambda: NOW)
        token = row.make(issuer)
        if row.accepted:
            assert (await verifier.verify(token)).subject == "u_tester"
        else:
            with pytest.raises(TokenRejected):
                await verifier.verify(token)
        await verifier.stop()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": NOW - 29}, None),
        ({"exp": NOW - 30}, "expired"),
        ({"iat": NOW + 5}, None),
        ({"iat": NOW + 31}, "not_yet_valid"),
        ({"nbf": NOW + 600}, "not_yet_valid"),
        ({"exp": True}, "bad_claim"),
        ({"scope": None}, None),
        ({"sub": "u\nx"}, "bad_claim"),
        ({"sub": "\ud800"}, "malformed"),
        ({"cnf": {"jkt": "x"}}, "sender_constrained"),
    ],
)
async def test_tokens_at_the_limits_of_the_rules(changes, reason, http):
    async with LoopbackIssuer(now=lambda: NOW) as issuer:
        verifier = TokenVerifier([TrustedIssuer(issuer.url, issuer.audience)], http=http, clock=lambda: NOW)
        verdict = None
        try:
            await verifier.verify(issuer.token(**changes))
        except TokenRejected as rejected:
            verdict = rejected.reason
        assert verdict == reason
        await verifier.stop()


async def test_a_cached_token_is_rejected_after_it_expires(http):
    now = NOW
    async with LoopbackIssuer(now=lambda: NOW) as issuer:
        verifier = TokenVerifier([TrustedIssuer(issuer.url, issuer.audience)], http=http, clock=lambda: now)
        token = issuer.token(exp=NOW + 100)
        await verifier.verify(token)
        now = NOW + 131
        with pytest.raises(TokenRejected):
            await verifier.verify(token)
        await verifier.stop()


async def test_a_second_encoding_of_the_same_bytes_is_rejected(http):
    async with LoopbackIssuer(now=lambda: NOW) as issuer:
        verifier = TokenVerifier([TrustedIssuer(issuer.url, issuer.audience)], http=http, clock=lambda: NOW)
        # A header of 3n + 1 bytes, so that its last character has bits to spare.
        header = next(h for h in (b'{"alg":"RS256"' + b" " * n + b"}" for n in range(3)) if len(h) % 3 == 1)
        last = base64url(header)[-1:]
        twin = base64url(header)[:-1] + bytes([last[0] + 1])
        with pytest.raises(TokenRejected) as rejected:
            await verifier.verify(f"{twin.decode()}.e30.eA")
        assert rejected.value.reason == "malformed"
        await verifier.stop()


async def test_each_issuer_has_its_own_audience_type_and_keys(http):
    """Two issuers, one with tokens like those of Entra ID and Keycloak: no token is accepted as one of the other."""
    async with LoopbackIssuer(now=lambda: NOW) as own, LoopbackIssuer("api://other", now=lambda: NOW) as other:
        verifier = TokenVerifier(
            [TrustedIssuer(own.url, own.audience), TrustedIssuer(other.url, "api://other", token_types=("JWT",))],
            http=http,
            clock=lambda: NOW,
        )
        other.keys = {"theirs": other.keys.pop("first")}
        entra = {"client_id": None, "azp": "app-1", "scope": None, "scp": "mcp.access", "jti": None, "uti": "x"}
        as_entra = other.token(header={"typ": "JWT", "kid": "theirs"}, **entra)
        verified = await verifier.verify(as_entra)
        assert (verified.client_id, verified.scopes, verified.token_id) == ("app-1", {"mcp.access"}, "x")
        await verifier.verify(own.token())
        wrong = {
            "audience of the other": own.token(aud="api://other"),
            "type of the other": own.token(header={"typ": "JWT"}),
            "own type at the other": other.token(header={"kid": "theirs"}),
            "key of the other": own.token(header={"kid": "theirs"}),
            "strict names with own type": own.token(client_id=None, azp="app-1"),
            "an ID token of the other": other.token(header={"typ": "JWT", "kid": "theirs"}, at_hash="x"),
            "a refresh token of the other": other.token(header={"typ": "JWT", "kid": "theirs"}, typ="Refresh"),
        }
        for token in wrong.values():
            with pytest.raises(TokenRejected):
                await verifier.verify(token)
        await verifier.stop()
