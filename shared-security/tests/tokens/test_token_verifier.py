"""The interface of the verifier: it returns the typed claims of a valid token."""

import pytest

from local_stack.loopback_issuer import LoopbackIssuer
from security_common.tokens import KeysUnavailable, TokenRejected, TokenVerifier, TrustedIssuer

NOW = 1_800_000_000.0
pytestmark = pytest.mark.anyio


async def test_a_valid_token_is_verified_once_and_cached(http):
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


async def test_start_fetches_the_keys_and_tokens_are_accepted_while_the_issuer_is_down(http):
    async with LoopbackIssuer(now=lambda: NOW) as issuer:
        token = issuer.token()
        await issuer.stop()
        verifier = TokenVerifier([TrustedIssuer(issuer.url, issuer.audience)], http=http, clock=lambda: NOW)
        with pytest.raises(KeysUnavailable):
            await verifier.verify(token)
        assert not verifier.ready
        assert "MCP_ISSUER" in verifier.problem
        await verifier.stop()


async def test_metadata_of_another_issuer_is_reported_with_a_hint(http):
    async with LoopbackIssuer(now=lambda: NOW) as issuer:
        trusted = TrustedIssuer("http://localhost:1", issuer.audience, internal_url=issuer.url)
        verifier = TokenVerifier([trusted], http=http, clock=lambda: NOW)
        with pytest.raises(KeysUnavailable):
            await verifier.verify(issuer.token(iss="http://localhost:1"))
        assert "AUTH_ISSUER" in verifier.problem
        await verifier.stop()


async def test_a_token_for_another_audience_is_rejected_with_a_hint(http):
    async with LoopbackIssuer(now=lambda: NOW) as issuer:
        verifier = TokenVerifier([TrustedIssuer(issuer.url, issuer.audience)], http=http, clock=lambda: NOW)
        with pytest.raises(TokenRejected) as refused:
            await verifier.verify(issuer.token(aud=f"{issuer.audience}/"))
        assert refused.value.reason == "wrong_audience"
        assert issuer.audience in refused.value.hint
        await verifier.stop()
