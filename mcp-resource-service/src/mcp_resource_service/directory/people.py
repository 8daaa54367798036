"""A person of the directory, and the parser of import files."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from io import StringIO
from typing import Any, ClassVar, cast

from security_common.errors import SecurityError

__all__ = ["Person", "PersonInvalid", "parse_people"]

# No digits: the detector would find personal data in ids that look like phone numbers or dates.
PERSON_ID = re.compile(r"[a-z][a-z_-]{2,63}\Z")


class PersonInvalid(SecurityError):
    """An import file has a line without a valid person. The description names line and column, never a value."""

    error: ClassVar[str] = "invalid_person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person. Every field but the id is personal data."""

    person_id: str
    name: str
    email: str
    phone: str = ""
    department: str = ""
    position: str = ""

    def personal_fields(self) -> dict[str, str]:
        """Returns the values by field name, without the id."""
        return {name: getattr(self, name) for name in PERSONAL_FIELDS}


PERSONAL_FIELDS = tuple(field.name for field in fields(Person) if field.name != "person_id")


def parse_people(text: str, *, make_id: Callable[[str], str]) -> Iterator[Person]:
    """Parses CSV with a header line, or JSON Lines (recognized by a leading brace).

    `make_id` returns the id of a person without one, from the e-mail address. The same address must always result in
    the same id, so that an import can be repeated.

    Raises:
        PersonInvalid: with the number of the line.

    """
    rows = _json_rows(text) if text.lstrip().startswith("{") else _csv_rows(text)
    for line, row in rows:
        yield _person(line, row, make_id)


def _csv_rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(StringIO(text.removeprefix("\ufeff")))
    try:
        for row in reader:
            yield reader.line_num, dict(row)
    except csv.Error:
        raise PersonInvalid(
            f"the text after line {reader.line_num} is not valid CSV", hint="check for a missing quotation mark"
        ) from None


def _json_rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise PersonInvalid(
                f"line {number} is not a JSON object", hint='write one {"name": ..., "email": ...} per line'
            )
        yield number, cast("dict[str, Any]", row)


def _person(line: int, row: dict[str, Any], make_id: Callable[[str], str]) -> Person:
    values: dict[str, str] = {}
    for name in ("person_id", *PERSONAL_FIELDS):
        value = row.get(name) or ""
        if not isinstance(value, str):
            raise PersonInvalid(f"line {line}: {name} is not text", hint="quote the value")
        values[name] = value.strip()
    for required in ("name", "email"):
        if not values[required]:
            raise PersonInvalid(
                f"line {line} has no {required}", hint=f"columns: person_id,{','.join(PERSONAL_FIELDS)}"
            )
    values["person_id"] = values["person_id"] or make_id(values["email"].casefold())
    if not PERSON_ID.match(values["person_id"]):
        raise PersonInvalid(
            f"line {line}: person_id is not allowed",
            hint="use 3 to 64 lower-case letters, - and _, or omit it: then it is made from the e-mail address",
        )
    return Person(**values)
