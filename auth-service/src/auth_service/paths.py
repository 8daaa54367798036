"""The paths of the endpoints, for their routes, the server metadata and whatever else names them."""

__all__ = [
    "ACCOUNT_PATH",
    "AUTHORIZATION_PATH",
    "BACKCHANNEL_LOGOUT_PATH",
    "CONSENT_PATH",
    "INTROSPECTION_PATH",
    "KEY_SET_PATH",
    "LOGOUT_PATH",
    "METADATA_PATHS",
    "PROVIDER_CALLBACK_PATH",
    "PROVIDER_SIGN_IN_PATH",
    "REGISTRATION_PATH",
    "REVOCATION_PATH",
    "SCIM_PATH",
    "SIGN_IN_PATH",
    "STATUS_LIST_PATH",
    "TOKEN_PATH",
    "USERINFO_PATH",
]

AUTHORIZATION_PATH = "/oauth2/authorize"
SIGN_IN_PATH = "/oauth2/sign-in"
PROVIDER_SIGN_IN_PATH = "/oauth2/sign-in/{provider}"
PROVIDER_CALLBACK_PATH = "/oauth2/callback/{provider}"
CONSENT_PATH = "/oauth2/consent"
LOGOUT_PATH = "/oauth2/logout"
ACCOUNT_PATH = "/account"
BACKCHANNEL_LOGOUT_PATH = "/oauth2/backchannel-logout/{provider}"

TOKEN_PATH = "/oauth2/token"
USERINFO_PATH = "/oauth2/userinfo"
INTROSPECTION_PATH = "/oauth2/introspect"
REVOCATION_PATH = "/oauth2/revoke"
REGISTRATION_PATH = "/oauth2/register"
STATUS_LIST_PATH = "/oauth2/status/{list_id}"

SCIM_PATH = "/scim/v2"
"""What the paths of SCIM begin with."""

KEY_SET_PATH = "/.well-known/jwks.json"
METADATA_PATHS = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
"""Clients try one or the other first."""
