"""Form bodies and query strings, parsed strictly: input that two parsers could read differently is refused."""

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote_to_bytes

from auth_service.errors import InvalidRequest
from auth_service.http.parameters import ParameterTable

__all__ = ["BODY_RULES", "FIELD_RULES", "Form", "parse_body", "parse_query", "refuse_repeated_parameters"]

FORM_MEDIA_TYPE = "application/x-www-form-urlencoded"
_MEDIA_TYPE = re.compile(r"\s*([^;\s]+)")
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\";\s]+)", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_MAX_FIELDS = 64


class Form:
    """The parameters of one request that have a value.

    "Parameters sent without a value MUST be treated as if they were omitted from the request" (RFC 6749 sections 3.1
    and 3.2): an empty parameter is not in the form, and it does not count as a repetition. Parameters that are not in
    the table of the endpoint are ignored, as RFC 6749 asks, except that they must not be repeated either.
    """

    def __init__(self, fields: Iterable[tuple[str, str]], table: ParameterTable) -> None:
        self._table = table
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            if value:
                self._values.setdefault(name, []).append(value)

    def get(self, name: str) -> str | None:
        """The first value, or None when the parameter is absent. Raises `KeyError` if the table does not list it."""
        self._table.require_listed(name)
        values = self._values.get(name)
        return values[0] if values else None

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a parameter that may be repeated."""
        self._table.require_listed(name)
        return tuple(self._values.get(name, ()))

    def require(self, name: str) -> str:
        """The value. Raises `InvalidRequest` with the name of the parameter if it is absent."""
        value = self.get(name)
        if value is None:
            raise InvalidRequest(f"{name} is missing")
        return value

    def subset(self, names: Iterable[str]) -> dict[str, str]:
        """The named parameters that are present, with their first value."""
        values = {name: self.get(name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def repeated(self) -> tuple[str, ...]:
        """The names that occur more than once although RFC 6749 section 3.1 allows each parameter once."""
        return tuple(
            name
            for name, values in self._values.items()
            if len(values) > 1 and name not in self._table.repeatable_names
        )

    def __contains__(self, name: object) -> bool:
        return name in self._values


def parse_body(body: bytes, content_type: str | None, table: ParameterTable) -> Form:
    """The body as a form, repeated parameters included. Raises `InvalidRequest`."""
    for check in BODY_RULES:
        check(content_type or "")
    return Form(_decode(body), table)


def parse_query(query_string: bytes, table: ParameterTable) -> Form:
    """The query string, repeated parameters included. Raises `InvalidRequest`."""
    return Form(_decode(query_string), table)


def refuse_repeated_parameters(form: Form) -> None:
    """Raises `InvalidRequest`. Choosing one of two values would be a guess, and a proxy may choose the other one."""
    if form.repeated:
        raise InvalidRequest("a parameter is repeated; send each parameter once")


def media_type_of(content_type: str) -> str:
    """The media type in lower case, without its parameters; empty if there is none."""
    match = _MEDIA_TYPE.match(content_type)
    return match[1].lower() if match else ""


def refuse_other_media_types(content_type: str) -> None:
    if media_type_of(content_type) != FORM_MEDIA_TYPE:
        raise InvalidRequest(f"Content-Type must be {FORM_MEDIA_TYPE}")


def refuse_other_charsets(content_type: str) -> None:
    charset = _CHARSET.search(content_type)
    if charset is not None and charset[1].lower() not in {"utf-8", "utf8"}:
        raise InvalidRequest("the charset must be UTF-8")


def refuse_many_fields(raw: bytes) -> None:
    if raw.count(b"&") >= _MAX_FIELDS:
        raise InvalidRequest(f"more than {_MAX_FIELDS} parameters")


def refuse_broken_escapes(raw: bytes) -> None:
    if _BROKEN_ESCAPE.search(raw):
        raise InvalidRequest("a parameter has an invalid percent-encoding")


BODY_RULES: tuple[Callable[[str], None], ...] = (refuse_other_media_types, refuse_other_charsets)
FIELD_RULES: tuple[Callable[[bytes], None], ...] = (refuse_many_fields, refuse_broken_escapes)


def _decode(raw: bytes) -> Iterable[tuple[str, str]]:
    for check in FIELD_RULES:
        check(raw)
    for field in raw.split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            yield _decode_part(name), _decode_part(value)


def _decode_part(raw: bytes) -> str:
    plain = raw.replace(b"+", b" ")
    if b"%" in plain:
        plain = unquote_to_bytes(plain)
    try:
        return plain.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest("a parameter is not valid UTF-8") from error
