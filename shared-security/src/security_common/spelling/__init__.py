"""What a text says, however it is written: a room of its own because it knows nothing of personal data.

written ──▶ folding: full width, odd dashes, zero width, split Hangul, escapes (RFC 3986, RFC 8259, HTML)
        ──▶ spoken: digits in Hangul or as letters that look like them
        ──▶ views: text inside base64 (RFC 4648)                            each with the way back to the original
"""

from security_common.spelling.folding import NEEDS_FOLDING, Folded, fold
from security_common.spelling.spoken import NEEDS_RESPELLING, with_digits
from security_common.spelling.views import NEEDS_DECODING, decoded_tokens

__all__ = ["NEEDS_DECODING", "NEEDS_FOLDING", "NEEDS_RESPELLING", "Folded", "decoded_tokens", "fold", "with_digits"]
