"""Form bodies and query strings, read strictly: what two parsers could read differently is refused."""

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote_to_bytes

from auth_service.errors import InvalidRequest
from auth_service.http.messages import HttpRequest

__all__ = ["BODY_RULES", "FIELD_RULES", "Form", "parse_body", "parse_form", "parse_query"]

_FORM = "application/x-www-form-urlencoded"
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\";\s]+)", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_MAX_FIELDS = 64
_REPEATABLE = frozenset({"resource"})


class Form:
    """The parameters of one request that have a value.

    "Parameters sent without a value MUST be treated as if they were omitted" (RFC 6749 sections 3.1 and 3.2), so they
    are dropped here, once for every endpoint: an empty parameter is not in the form, and it is no repetition either.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            if value:
                self._values.setdefault(name, []).append(value)

    def get(self, name: str) -> str | None:
        """The first value, or None when the parameter is absent."""
        values = self._values.get(name)
        return values[0] if values else None

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a parameter that may be repeated."""
        return tuple(self._values.get(name, ()))

    def require(self, name: str) -> str:
        """The value. Raises `InvalidRequest` naming the parameter."""
        value = self.get(name)
        if value is None:
            raise InvalidRequest(f"{name} is missing")
        return value

    def subset(self, names: Iterable[str]) -> dict[str, str]:
        """The named parameters that are present."""
        found = ((name, self.get(name)) for name in names)
        return {name: value for name, value in found if value is not None}

    @property
    def repeated(self) -> tuple[str, ...]:
        """Names that occur more than once and must not (RFC 6749 section 3.1); `resource` may (RFC 8707)."""
        return tuple(name for name, values in self._values.items() if len(values) > 1 and name not in _REPEATABLE)

    def __contains__(self, name: object) -> bool:
        return name in self._values


def parse_body(request: HttpRequest) -> Form:
    """The body as a form; repeated parameters stay, for the caller to judge. Raises `InvalidRequest`."""
    for check in BODY_RULES:
        check(request)
    return Form(_decode(request.body))


def parse_form(request: HttpRequest) -> Form:
    """The body as a form; repeated parameters are refused. Raises `InvalidRequest`."""
    form = parse_body(request)
    if form.repeated:
        # Which of the two counted would be a guess, and a proxy in front may guess otherwise.
        raise InvalidRequest("a parameter is repeated; each may occur once")
    return form


def parse_query(request: HttpRequest) -> Form:
    """The query string; repeated parameters stay, for the caller to judge. Raises `InvalidRequest`."""
    return Form(_decode(request.query_string))


def refuse_other_media_types(request: HttpRequest) -> None:
    if request.media_type != _FORM:
        raise InvalidRequest(f"Content-Type must be {_FORM}")


def refuse_other_charsets(request: HttpRequest) -> None:
    charset = _CHARSET.search(request.header("content-type") or "")
    if charset is not None and charset[1].lower() not in {"utf-8", "utf8"}:
        raise InvalidRequest("the charset must be UTF-8")


def refuse_many_fields(raw: bytes) -> None:
    if raw.count(b"&") >= _MAX_FIELDS:
        raise InvalidRequest(f"more than {_MAX_FIELDS} parameters")


def refuse_broken_escapes(raw: bytes) -> None:
    if _BROKEN_ESCAPE.search(raw):
        raise InvalidRequest("a parameter has a broken percent-encoding")


BODY_RULES: tuple[Callable[[HttpRequest], None], ...] = (refuse_other_media_types, refuse_other_charsets)
FIELD_RULES: tuple[Callable[[bytes], None], ...] = (refuse_many_fields, refuse_broken_escapes)


def _decode(raw: bytes) -> Iterable[tuple[str, str]]:
    for check in FIELD_RULES:
        check(raw)
    for field in raw.split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            yield _decode_part(name), _decode_part(value)


def _decode_part(raw: bytes) -> str:
    plain = raw.replace(b"+", b" ") if b"+" in raw else raw
    try:
        return (unquote_to_bytes(plain) if b"%" in plain else plain).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest("a parameter is not UTF-8") from error
