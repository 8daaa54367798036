"""The verifier's face: a good token in, typed claims out."""

import pytest

from local_stack.loopback_issuer import LoopbackIssuer
from security_common.tokens import KeysUnavailable, TokenRejected, TokenVerifier, TrustedIssuer

NOW = 1_800_000_000.0
pytestmark = pytest.mark.anyio


async def test_a_good_token_is_read_once_and_remembered(http):
    async with LoopbackIssuer(now=lambda: NOW) as issuer:
        verifier = TokenVerifier([TrustedIssuer(issuer.url, issuer.audience)], http=http, clock=lambda: NOW)
        token = issuer.token(scope="mcp.access mcp.decrypt", aud=["other", issuer.audience])
        verified = await verifier.verify(token)
        assert verified.subject == "u_tester"
        assert verified.client_id == "test-client"
        assert verified.scopes == {"mcp.access", "mcp.decrypt"}
        assert verified.audience == ("other", issuer.audience)
        assert verified.key_id == "first"
        assert await verifier.verify(token) is verified
        assert issuer.requests["/keys"] == 1
        await verifier.stop()


async def test_start_fetches_ahead_and_an_issuer_away_is_no_reason_to_refuse(http):
    async with LoopbackIssuer(now=lambda: NOW) as issuer:
        token = issuer.token()
        await issuer.stop()
        verifier = TokenVerifier([TrustedIssuer(issuer.url, issuer.audience)], http=http, clock=lambda: NOW)
        with pytest.raises(KeysUnavailable):
            await verifier.verify(token)
        assert not verifier.ready
        assert "MCP_ISSUER" in verifier.problem
        await verifier.stop()


async def test_an_issuer_under_another_name_is_named_with_what_to_mend(http):
    async with LoopbackIssuer(now=lambda: NOW) as issuer:
        trusted = TrustedIssuer("http://localhost:1", issuer.audience, internal_url=issuer.url)
        verifier = TokenVerifier([trusted], http=http, clock=lambda: NOW)
        with pytest.raises(KeysUnavailable):
            await verifier.verify(issuer.token(iss="http://localhost:1"))
        assert "AUTH_ISSUER" in verifier.problem
        await verifier.stop()


async def test_the_wrong_audience_is_told_the_right_one(http):
    async with LoopbackIssuer(now=lambda: NOW) as issuer:
        verifier = TokenVerifier([TrustedIssuer(issuer.url, issuer.audience)], http=http, clock=lambda: NOW)
        with pytest.raises(TokenRejected) as refused:
            await verifier.verify(issuer.token(aud=f"{issuer.audience}/"))
        assert refused.value.reason == "wrong_audience"
        assert issuer.audience in refused.value.hint
        await verifier.stop()
