"""An issuer whose tokens are accepted, and for which audience."""

from dataclasses import dataclass

__all__ = ["ACCESS_TOKEN_TYPES", "TrustedIssuer"]

ACCESS_TOKEN_TYPES = ("at+jwt", "application/at+jwt")


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One authorization server.

    `issuer` is what its tokens say, byte for byte. `audience` is what `aud` must hold. `internal_url` is where this
    process reaches the issuer when that is not its public URL, as in container networks. `token_types` are the values
    of the `typ` header that are accepted, compared without case: `("JWT",)` for Entra ID and Keycloak.
    """

    issuer: str
    audience: str
    internal_url: str | None = None
    token_types: tuple[str, ...] = ACCESS_TOKEN_TYPES

    @property
    def base_url(self) -> str:
        """Where this process reaches the issuer."""
        return self.internal_url or self.issuer

    def back_channel(self, url: str) -> str:
        """A URL from the issuer's metadata as reached from here: a leading issuer becomes the internal URL."""
        if url == self.issuer or url.startswith(f"{self.issuer}/"):
            return self.base_url + url.removeprefix(self.issuer)
        return url
