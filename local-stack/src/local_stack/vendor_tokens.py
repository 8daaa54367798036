"""Tokens as known vendors issue them (vendor_tokens.yaml), to be signed by an issuer on loopback."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from local_stack.loopback_issuer import LoopbackIssuer

__all__ = ["VENDOR_TOKENS", "VendorToken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorToken:
    """One token, with either the values that the verifier reads from it or the reason why it is refused.

    `changes` are the claims that differ from `LoopbackIssuer.claims`; None removes a claim.
    """

    vendor: str
    name: str
    path: str
    entry: Mapping[str, Any]
    header: Mapping[str, Any]
    changes: Mapping[str, Any]
    audience_claim: str = "aud"
    client_id: str = ""
    token_id: str = ""
    scopes: frozenset[str] = frozenset()
    refused_as: str = ""

    @property
    def id(self) -> str:
        """The name of the token in test reports."""
        return f"{self.vendor}: {self.name}"

    def entry_for(self, issuer: LoopbackIssuer) -> dict[str, Any]:
        """The entry in MCP_TRUSTED_ISSUERS."""
        return {"issuer": issuer.issuer, **self.entry}

    def sign(self, issuer: LoopbackIssuer, *, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """The token as this issuer signs it, with further changes."""
        return issuer.token(
            header={"typ": None} | dict(self.header) | dict(header or {}), **{**self.changes, **changes}
        )


# Claims that a loopback issuer adds, but not every vendor.
_OPTIONAL_CLAIMS = dict.fromkeys(("aud", "sub", "client_id", "scope", "jti"))


def _tokens(vendor: Mapping[str, Any]) -> list[VendorToken]:
    def make(name: str, row: Mapping[str, Any], **expected: Any) -> VendorToken:
        return VendorToken(
            vendor=vendor["vendor"],
            name=name,
            path=vendor["path"],
            entry=vendor["entry"],
            header=vendor["header"] | row.get("header", {}),
            changes=_OPTIONAL_CLAIMS | vendor["claims"] | row.get("changes", {}),
            audience_claim=vendor.get("audience_claim", "aud"),
            **expected,
        )

    accepted = [
        make(name, row, client_id=row["client_id"], token_id=row["token_id"], scopes=frozenset(row["scopes"]))
        for name, row in vendor["accepted"].items()
    ]
    refused = [make(name, row, refused_as=row["reason"]) for name, row in vendor["refused"].items()]
    return accepted + refused


_TABLE = yaml.safe_load(files("local_stack").joinpath("vendor_tokens.yaml").read_text(encoding="utf-8"))
VENDOR_TOKENS = tuple(token for vendor in _TABLE for token in _tokens(vendor))
