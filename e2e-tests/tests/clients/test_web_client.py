"""A client that is a web page, on an origin of its own: CORS lets it discover, register, redeem its code and call.

It is what the Inspector's web client does, in the fewest lines.
"""

import base64
import hashlib
import json
from urllib.parse import urlencode

import pytest

pytestmark = pytest.mark.clients

DISCOVER = """async ({ mcp, redirectUri }) => {
    const refused = await fetch(mcp, { method: 'POST', body: '{}', headers: { 'mcp-protocol-version': '2026-07-28' } });
    const challenge = refused.headers.get('www-authenticate');
    const resource = await (await fetch(challenge.match(/resource_metadata="([^"]+)"/)[1])).json();
    const [issuer] = resource.authorization_servers;
    const address = `${issuer}/.well-known/oauth-authorization-server`;
    const metadata = await (await fetch(address, { headers: { 'mcp-protocol-version': '2026-07-28' } })).json();
    const registration = { redirect_uris: [redirectUri], token_endpoint_auth_method: 'none', client_name: 'Page' };
    const registered = await (await fetch(metadata.registration_endpoint, {
        method: 'POST', body: JSON.stringify(registration), headers: { 'content-type': 'application/json' }
    })).json();
    return { status: refused.status, metadata, clientId: registered.client_id };
}"""
CALL = """async ({ mcp, tokenEndpoint, form, request }) => {
    const redeemed = await fetch(tokenEndpoint, { method: 'POST', body: new URLSearchParams(form) });
    const { access_token } = await redeemed.json();
    const headers = {
        authorization: `Bearer ${access_token}`, 'content-type': 'application/json',
        accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28',
        'mcp-method': request.method, 'mcp-name': request.params.name
    };
    const answer = await fetch(mcp, { method: 'POST', headers, body: JSON.stringify(request) });
    return { status: answer.status, challenge: answer.headers.get('www-authenticate'), body: await answer.text() };
}"""
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "page", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.mark.parametrize("ground", ["demo"], indirect=True)
def test_a_page_of_another_origin_is_a_client_like_any(ground, person, callback) -> None:
    def evaluate(script: str, **given: object):
        page = person.context.pages[-1]
        return person.chromium.do(page.evaluate, script, {"mcp": f"{ground.mcp_url}/mcp", **given}).result()

    person.open(callback.url)
    person.visits[-1].result()
    found = evaluate(DISCOVER, redirectUri=callback.url)
    assert found["status"] == 401
    verifier = "v" * 43
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": found["clientId"],
        "redirect_uri": callback.url,
        "resource": f"{ground.mcp_url}/mcp",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": "of-the-page",
    }
    person.open(f"{found['metadata']['authorization_endpoint']}?{urlencode(asked)}")
    person.visits[-1].result()
    form = {
        "grant_type": "authorization_code",
        "client_id": found["clientId"],
        "redirect_uri": callback.url,
        "code": callback.wait()["code"],
        "code_verifier": verifier,
    }
    params = {"name": "test_pii_detection", "arguments": {"text": "hong@example.com"}, "_meta": META}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    called = evaluate(CALL, tokenEndpoint=found["metadata"]["token_endpoint"], form=form, request=call)
    assert called["status"] == 200
    assert "h***@example.com" in json.loads(called["body"])["result"]["structuredContent"]["masked_text"]
