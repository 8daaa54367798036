"""Who may ask: clients, how they prove who they are, where they may send a browser, how they come to be known.

    auth.yaml ──▶ declared ─┐
    POST /oauth2/register ──▶ registered ─┼─▶ directory.find(client_id) ──▶ Client ──▶ authentication ──▶ the grants
    https://host/client.json ──▶ metadata document ─┘

RFC 6749 section 2.3, RFC 7591, RFC 7523, RFC 8252, Client ID Metadata Documents. Keys: `auth:client:*`.
"""
