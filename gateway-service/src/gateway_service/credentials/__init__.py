"""How the gateway identifies itself to an upstream. Each kind of credential gives the headers for one request.

    secret_header       a secret from a file, read again when the file changes
    own_tokens          client_credentials (RFC 6749 section 4.4): tokens for the gateway itself
    exchanged_tokens    token exchange (RFC 8693): tokens for the caller, in place of the caller's own token
      └ token_cache     one request at a time for the same token, bounded memory
      └ token_client    metadata of the issuer, client authentication, the token request

No credential contains the token that a caller has sent. Only the gateway's own issuer receives that token.
"""

from gateway_service.credentials.credential import Credential, CredentialUnavailable
from gateway_service.credentials.opening import CredentialOpener

__all__ = ["Credential", "CredentialOpener", "CredentialUnavailable"]
