"""Values in the place of a secret that are none: `<password>`, `${DB_PASSWORD}`, `your-api-key-here`, `****`."""

import re

from security_common.pii.word_lists import read_lists

__all__ = ["is_ordinary_word", "is_placeholder", "is_technical_term"]

_WORDS = read_lists("secret_words")
_ORDINARY = frozenset(_WORDS["ordinary"])
_PLACEHOLDER_WORDS = frozenset(_WORDS["placeholder_words"]) | _ORDINARY
_INSTRUCTIONS = frozenset(
    {"your", "my", "insert", "enter", "replace", "put", "add", "example", "sample", "dummy", "the"}
)

_MASKED = re.compile(r"[*xX.·#?_\-]{3,}$|.*(?:\*{3}|\.\.\.)")
_VARIABLE = re.compile(
    r"\$[({]|\$(?:[A-Z_][A-Z0-9_]*|[a-z_]+)$|\{\{|\{[\w.:\-]*\}$|#\{|<[^>]*>$|<<|\[[A-Za-z _\-]+\]$"
    r"|%\(|%[sdv]$|%[A-Za-z_]+%$|@Microsoft\.|!(?:Ref|Sub|GetAtt|secret|vault|ENV)\b|ENC\["
)
_REFERENCE = re.compile(
    r"(?:https?|file|env|vault|arn|op|ssm|secretsmanager|projects|sha[0-9]{1,3}|md5)[:/]", re.IGNORECASE
)
_TECHNICAL_TERM = re.compile(
    r"(?:sha|md|aes|rsa|dsa|ecdsa|base|utf|argon|pbkdf|hmac|tls|ssl|rfc|iso|nist|oauth|http|ipv)-?"
    r"[0-9]{1,5}(?:[\-.:][0-9A-Z]{1,6}){0,3}",
    re.IGNORECASE,
)
_DIGEST = re.compile(r"\$(?:2[aby]|argon2[a-z]{1,2}|[156y])\$")  # crypt(5)
_PATH = re.compile(
    r"(?:[A-Za-z]:|[.~]{1,2})?[/\\](?:[a-z][a-z0-9_.\-]*[/\\])+[a-z][a-z0-9_.\-]*$"
    r"|[\w\-]+\.(?:txt|json|ya?ml|pem|key|env|crt|toml|ini|py|js|ts|md|sh|conf|html?)$"
)
_CODE = re.compile(
    r"[A-Za-z_]\w*(?:(?:\.|->|::)[A-Za-z_]\w*)*[(\[]"  # os.environ["PASSWORD"], get_password()
    r"|[A-Za-z_]+[0-9]*(?:(?:\.|->|::)[A-Za-z_]+)+[);,\]]*$"  # settings.password
    r"|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$"  # DB_PASSWORD, the name of a variable
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def is_placeholder(value: str) -> bool:
    """Whether a value is masked, a variable, a reference, a digest, a path, code or a place to fill in."""
    if _MASKED.match(value) or _VARIABLE.match(value) or _REFERENCE.match(value) or _DIGEST.match(value):
        return True
    if _PATH.match(value) or _CODE.match(value):
        return True
    if any(map(str.isdigit, value)):
        return False
    words = [word.lower() for word in _WORD.findall(value)]
    if not words:
        return False
    is_instruction = len(words) > 1 and (words[0] in _INSTRUCTIONS or words[-1] == "here")
    return is_instruction or _PLACEHOLDER_WORDS.issuperset(words)


def is_ordinary_word(value: str) -> bool:
    """Whether a value is a state, a type or an instruction instead of a secret: `required`, `string`, `none`."""
    return value.lower() in _ORDINARY


def is_technical_term(value: str) -> bool:
    """Whether a value names an algorithm, an encoding or a standard: `SHA256`, `Base64`, `RFC7519`."""
    return _TECHNICAL_TERM.fullmatch(value) is not None
