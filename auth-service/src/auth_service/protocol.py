"""Names that the protocol defines, and the types of the clock and the random source that tests replace."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

__all__ = [
    "SECRET_METHODS",
    "SIGNING_ALGORITHM",
    "USER_ID_PREFIX",
    "AuthMethod",
    "Clock",
    "GrantType",
    "RandomBytes",
    "base64url",
    "new_user_id",
]

# Seconds since the epoch, like `time.time`.
Clock: TypeAlias = Callable[[], float]

# Takes a number of bytes and returns that many random bytes, like `secrets.token_bytes`.
RandomBytes: TypeAlias = Callable[[int], bytes]

# The only algorithm that this server signs with, and accepts in its own tokens.
SIGNING_ALGORITHM = "RS256"

# The ids of users begin with it, and those of clients do not: the `sub` of a token is one or the other.
USER_ID_PREFIX = "u_"


class GrantType(StrEnum):
    """RFC 6749 sections 4.1.3, 4.4.2 and 6, RFC 8693 section 2.1, RFC 7523 section 2.1."""

    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"
    CLIENT_CREDENTIALS = "client_credentials"
    TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
    JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class AuthMethod(StrEnum):
    """Client authentication methods (RFC 7591 section 2, OpenID Connect Core section 9)."""

    NONE = "none"
    CLIENT_SECRET_BASIC = "client_secret_basic"
    CLIENT_SECRET_POST = "client_secret_post"
    PRIVATE_KEY_JWT = "private_key_jwt"


SECRET_METHODS = frozenset({AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST})


def base64url(raw: bytes) -> str:
    """The bytes in base64url without padding (RFC 4648 section 5, RFC 7515 section 2)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def new_user_id(random_bytes: RandomBytes) -> str:
    """The random id of a new account: the `sub` of its tokens."""
    return USER_ID_PREFIX + base64url(random_bytes(16))
