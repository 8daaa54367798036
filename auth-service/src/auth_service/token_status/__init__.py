"""Status lists of access tokens (draft-ietf-oauth-status-list): how resource servers learn that a token was revoked.

token     {"status": {"status_list": {"idx": 4711, "uri": "<issuer>/oauth2/status/<list>"}}}
list      a signed JWT with one bit for each index; a resource server fetches it every `ttl` seconds

status_indices    gives each authorization grant, and each client that acts for itself, an index of its own
client_statuses   the present index of each client, in memory: a token of a client costs no access to Redis
revocations       sets the bit of an index, with an audit event first
published_lists   the endpoint that serves the signed lists
replay            sets the bits again from the audit journals, after Redis lost data
upkeep            the background task that keeps indices of clients and bits up to date
"""
