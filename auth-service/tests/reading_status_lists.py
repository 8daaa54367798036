"""Reads the status list of an access token, as a resource server does."""

import base64
import zlib
from typing import Any

import jwt
from exchanging_tokens import claims_of
from running_auth import Service


def status_of(token: str) -> tuple[str, int]:
    """The address of the list, and the index."""
    status_list = claims_of(token)["status"]["status_list"]
    return status_list["uri"], status_list["idx"]


def read_list(service: Service, uri: str) -> dict[str, Any]:
    """The claims of the list, after its signature, type and subject were verified."""
    answer = service.http.get(uri.removeprefix(service.issuer))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/statuslist+jwt")
    assert answer.headers["cache-control"] == "no-cache"
    keys = {key["kid"]: key for key in service.http.get("/.well-known/jwks.json").json()["keys"]}
    header = jwt.get_unverified_header(answer.text)
    assert header["typ"] == "statuslist+jwt"
    claims = jwt.decode(answer.text, jwt.PyJWK(keys[header["kid"]]), algorithms=["RS256"])
    assert claims["sub"] == uri
    return claims


def is_revoked(service: Service, token: str) -> bool:
    uri, index = status_of(token)
    encoded: str = read_list(service, uri)["status_list"]["lst"]
    packed = zlib.decompress(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    return bool(packed[index >> 3] >> (index & 7) & 1)
