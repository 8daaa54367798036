"""Secrets with a shape of their own: private keys, tokens of known vendors, and the URLs of webhooks."""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.rules import Rule
from security_common.pii.word_lists import read_rows

__all__ = ["SECRET_TOKENS"]

_KEY_NAME = r"(?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
# PEM (RFC 7468). The end marker may be missing in a text that was cut. A lookahead is not retried, so the search stays
# linear. A possessive group would do the same, but matches too little in Python 3.11.2 (Debian 12).
_PRIVATE_KEY = re.compile(
    rf"-----BEGIN {_KEY_NAME}(?=(?P<body>(?:[A-Za-z0-9+/=\s\\:,.]|-(?!-)){{0,8192}}))(?P=body)(?:-----END {_KEY_NAME})?"
)
_TOKEN = re.compile(rf"(?<![A-Za-z0-9_\-])(?:{'|'.join(read_rows('token_shapes'))})(?![A-Za-z0-9_\-])")
_WEBHOOK = re.compile(rf"https?://(?:{'|'.join(read_rows('webhook_urls'))})")
_EXAMPLE_TOKEN = re.compile(r"(?:x{6}|X{6}|0{12}|\.\.\.|EXAMPLE)")  # the filling of a token in documentation


def _find_secret_tokens(source: LabelledText) -> Iterator[Finding]:
    text = source.text
    if "-----BEGIN" in text:
        for match in _PRIVATE_KEY.finditer(text):
            yield Finding(PIIKind.SECRET, match.start(), match.end(), 0.999, "private-key")
    for match in _TOKEN.finditer(text):
        if _EXAMPLE_TOKEN.search(match.group()) is None:
            yield Finding(PIIKind.SECRET, match.start(), match.end(), 0.99, "token")
    if "://" in text:
        for match in _WEBHOOK.finditer(text):
            if _EXAMPLE_TOKEN.search(match.group()) is None:
                yield Finding(PIIKind.SECRET, match.start(), match.end(), 0.995, "webhook")


SECRET_TOKENS = Rule(
    # Beginnings of the shapes in data/token_shapes.txt, or a part that only they have, then those of webhooks.
    r"-----BEGIN|eyJ|A[KS]IA|gh[pousr]_|github_pat|gl[a-z]{2,5}-|xox|xapp-|sk-|[srw]k_(?:live|test)_|(?:live|test)_g?sk_"
    r"|whsec_|AIza|ya29\.|GOCSPX|1//0|8Q~|hf_|npm_|pypi-|rubygems_|SG\.|SK[0-9a-f]|key-[0-9a-f]|-us[0-9]|do[opr]_v1"
    r"|shp[a-z]{2}_|dapi[0-9a-f]|hv[sbr]\.|\.atlasv1\.|dckr_pat|dp\.[a-z]{2}\.|gl(?:sa|c)_|lin_|ntn_|secret_[A-Za-z0-9]"
    r"|figd_|ATATT3x|pscale_|NRAK-|sntry[su]_|PMAK-|sq0|(?:gsk|xai|pplx|fw|nvapi|tvly|csk)[_\-][A-Za-z0-9]|r8_|sbp_"
    r"|pat[A-Za-z0-9]{14}|:AA|AGE-SECRET|EAA[A-Za-z0-9]|tskey-|CFPAT|gAAAAA"
    r"|hook|/bot|/spaces/|/trigger/|logic\.azure|powerplatform|pagerduty|robot/send",
    _find_secret_tokens,
)
