"""What stands in the place of personal data that was found in a tool that masks, and the keyed names of people.

finding ──▶ operator of its kind, for this tool (security_common.pii.configuration) ──▶ what is written in its place
            keep, mask, redact, pseudonym, encrypt, reject

operators   each operator's writing        pseudonyms   HMAC-SHA256 (RFC 2104): pseudonyms, references, directory ids
"""

from security_common.protection.operators import Writer
from security_common.protection.pseudonyms import KeyedPseudonyms, PseudonymKeyInvalid, letters

__all__ = ["KeyedPseudonyms", "PseudonymKeyInvalid", "Writer", "letters"]
