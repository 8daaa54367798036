"""The walk over data: values of every type are kept when clean, masked in their type, or refused."""

import dataclasses
import json
import uuid
from collections import Counter, OrderedDict, UserDict, defaultdict, deque
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import Annotated, Any, NamedTuple

import pytest
from pydantic import (
    AnyUrl,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PrivateAttr,
    RootModel,
    SecretStr,
    computed_field,
    field_serializer,
    model_serializer,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass

from security_common.audit import Journal
from security_common.encryption import EncryptionService
from security_common.tool_policy import TooMuchData, UnsupportedValue, secure_tool
from security_common.tool_policy.json_walk import number_duplicates

PHONE, MASKED = "010-1234-5678", "010-****-5678"
CARD = 4111_1111_1111_1111


class Point(NamedTuple):
    label: str
    at: int


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    phone: str
    number: int = 0


@dataclasses.dataclass
class Open:
    phone: str
    late: str = dataclasses.field(init=False)


class Model(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)
    phone: str
    number: int = 0
    _kept: str = PrivateAttr(default="")

    @computed_field
    @property
    def shown(self) -> str:
        return f"phone {self.phone}"


class Colour(Enum):
    RED = "red"


class Phone(StrEnum):
    OURS = "010-1234-5678"


class Level(IntEnum):
    HIGH = 3


@secure_tool(pii_policy="mask")
def masked(value: Any) -> Any:
    return value


@secure_tool(pii_policy="encrypt")
def encrypted(value: Any) -> Any:
    return value


@secure_tool(pii_policy="observe")
def observed(value: Any) -> Any:
    return value


def open_with(late: str) -> Open:
    made = Open(PHONE)
    made.late = late
    return made


def model_with(kept: str, **extra: Any) -> Model:
    made = Model(phone=PHONE, **extra)
    made._kept = kept
    return made


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ([PHONE, 1], [MASKED, 1]),
        ((PHONE,), (MASKED,)),
        ({PHONE}, {MASKED}),
        (frozenset({PHONE}), frozenset({MASKED})),
        (deque([PHONE], maxlen=3), deque([MASKED], maxlen=3)),
        (Point(PHONE, 1), Point(MASKED, 1)),
        ({"a": {"b": [PHONE]}}, {"a": {"b": [MASKED]}}),
        ({PHONE: 1}, {MASKED: 1}),
        ({PHONE: 1, "010-9999-5678": 2}, {MASKED: 1, f"{MASKED} (2)": 2}),
        (OrderedDict(a=PHONE), OrderedDict(a=MASKED)),
        (defaultdict(list, a=PHONE), defaultdict(list, a=MASKED)),
        (Counter({PHONE: 2}), Counter({MASKED: 2})),
        (MappingProxyType({"a": PHONE}), MappingProxyType({"a": MASKED})),
        (f'{{"a": "{PHONE}"}}', f'{{"a": "{MASKED}"}}'),
        (f' ["{PHONE}", 1]', f' ["{MASKED}", 1]'),
        (f'{{"a":"{PHONE}","n":1.10,"e":1E5, "a":[ ]}}', f'{{"a":"{MASKED}","n":1.10,"e":1E5, "a":[ ]}}'),
        (f'{{"card": {CARD}, "n": 1}}', '{"card": 0, "n": 1}'),
        (f'{{"memo": {CARD}e0, "n": 1e2}}', '{"memo": 0, "n": 1e2}'),
        ('{"memo": 4.111111111111111e15}', '{"memo": 0}'),
        (f'{{"password": {"9" * 50}}}', '{"password": 0}'),
        (f'{{"password": {"9" * 5000}}}', '{"password": 0}'),
        (f'{{"memo": {PHONE}, "n": 1}}', f'{{"memo": {MASKED}, "n": 1}}'),
        (f'["a", {PHONE}]', f'["a", {MASKED}]'),
        (f'Result: {{"card": {CARD}, "n": 1}}', 'Result: {"card": 0, "n": 1}'),
        (f'{{"a": {CARD}}}\n{{"a": 2}}\n', '{"a": 0}\n{"a": 2}\n'),
        (json.dumps({"inner": json.dumps([PHONE])}), json.dumps({"inner": json.dumps([MASKED])})),
        (f'{{"a": "{PHONE}", "a": 1}}', f'{{"a": "{MASKED}", "a": 1}}'),
        (f'{{"a": "{PHONE}"', f'{{"a": "{MASKED}"'),
        (PHONE.encode(), MASKED.encode()),
        (bytearray(PHONE, "utf-8"), bytearray(MASKED, "utf-8")),
        (memoryview(PHONE.encode()), memoryview(MASKED.encode())),
        (f"한글 {PHONE}".encode("cp949"), f"한글 {MASKED}".encode("cp949")),
        (CARD, 0),
        (float(CARD), 0.0),
        (Decimal(CARD), Decimal(0)),
        (IPv4Address("203.0.113.9"), IPv4Address(0)),
        (PurePosixPath(f"/home/{PHONE}"), PurePosixPath(f"/home/{MASKED}")),
        (AnyUrl(f"https://example.com/?tel={PHONE}"), AnyUrl(f"https://example.com/?tel={MASKED}")),
        (Frozen(PHONE, CARD), Frozen(MASKED, 0)),
        (open_with(PHONE), dataclasses.replace(open_with(MASKED), phone=MASKED)),
        (Model(phone=PHONE, number=CARD), Model(phone=MASKED, number=0)),
        (RootModel[list[str]]([PHONE]), RootModel[list[str]]([MASKED])),
    ],
)
def test_personal_data_is_masked_and_the_type_is_kept(dirty: Any, clean: Any) -> None:
    if isinstance(clean, Open):
        clean.late = MASKED
    result = masked(dirty)
    assert result == clean
    assert type(result) is type(dirty)
    assert masked(result) == result, "masking again changes nothing"
    assert observed(dirty) == dirty


def test_the_original_mapping_is_not_changed() -> None:
    original = UserDict(phone=PHONE)
    assert masked(original) == {"phone": MASKED}
    assert original == {"phone": PHONE}


def test_extra_private_and_computed_members_of_models_are_masked() -> None:
    result = masked(model_with(PHONE, note=PHONE))
    assert (result.phone, result.note, result._kept, result.shown) == (MASKED, MASKED, MASKED, f"phone {MASKED}")
    assert masked(SecretStr(PHONE)).get_secret_value() == MASKED


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -1,
        2.5,
        0.9203658670763342,
        Decimal("NaN"),
        Decimal("sNaN"),
        Fraction(10**400, 3),
        Decimal("1e9999"),
        float("-inf"),
        "",
        "plain",
        "[not json",
        '{"a": [1, 2.50, "ok"]}',
        b"bytes",
        bytes(range(256)),
        datetime(2026, 11, 23, tzinfo=UTC),
        date(2026, 11, 23),
        uuid.UUID("01a2065f-ebc9-7bd8-83fa-ceb091cb5029"),
        Colour.RED,
        Level.HIGH,
        PurePosixPath("/srv"),
    ],
)
def test_clean_values_without_parts_are_the_same_objects(value: Any) -> None:
    assert masked(value) is value
    assert encrypted(value) is value


@pytest.mark.parametrize(
    "value",
    [
        object(),
        SimpleNamespace(phone=PHONE),
        iter([1]),
        Phone.OURS,
        bytes(range(128, 256)) + PHONE.encode(),
        PHONE.encode("utf-16-le"),
        f"전화 {PHONE}".encode("utf-16-be"),
        Model(phone="x", **{PHONE: "x"}),
        ValueError(PHONE),
        masked,
        {1: {2: object()}},
        pytest.param(10**5000, id="a number too long for text"),
    ],
)
def test_values_that_cannot_be_searched_or_changed_are_refused(value: Any) -> None:
    for tool in (masked, encrypted):
        with pytest.raises(UnsupportedValue) as caught:
            tool(value)
        assert "1234" not in str(caught.value) + caught.value.hint


def test_encrypted_numbers_become_text_except_in_a_typed_field(encryption: EncryptionService) -> None:
    assert encryption.recognizes(encrypted([CARD])[0])
    assert encryption.recognizes(encrypted({"n": PHONE})["n"])
    for holder in (Frozen("x", CARD), Model(phone="x", number=CARD)):
        with pytest.raises(UnsupportedValue, match="number has the type int and cannot contain ciphertext"):
            encrypted(holder)


def test_ciphertext_is_not_encrypted_again(encryption: EncryptionService) -> None:
    once = encrypted([PHONE, f"tel {PHONE}"])
    assert encrypted(once) == once
    assert masked(once) == once
    assert masked(f"{once[0]} {PHONE}") == f"{once[0]} {MASKED}"


def test_data_above_the_limits_is_refused(journal: Journal) -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    cycle: list[Any] = []
    cycle.append(cycle)
    for value in (deep, cycle, ["x"] * 300_000, "x" * 3_000_000, [b"x" * 3_000_000]):
        with pytest.raises(TooMuchData):
            masked(value)


def test_deeply_nested_json_text_is_read_as_text() -> None:
    text = "[" * 100_000 + PHONE
    assert masked(text) == "[" * 100_000 + MASKED


class ComputedField(BaseModel):
    """No field is an e-mail address, but the computed field is one."""

    name: str = "hong"
    host: str = "example.com"

    @computed_field
    @property
    def address(self) -> str:
        return f"{self.name}@{self.host}"


class FieldSerializer(BaseModel):
    number: int = 7

    @field_serializer("number")
    def serialize(self, value: int) -> str:
        return f"{PHONE} {value}"


class AnnotatedSerializer(BaseModel):
    number: Annotated[int, PlainSerializer(lambda value: f"{PHONE} {value}", return_type=str)] = 7


class NestedSerializer(BaseModel):
    numbers: list[Annotated[int, PlainSerializer(lambda value: f"{PHONE} {value}")] | None] = [7]


class JsonSerializer(BaseModel):
    number: Annotated[int, PlainSerializer(lambda value: f"{PHONE} {value}", when_used="json")] = 7


@pydantic_dataclass
class ComputingDataclass:
    name: str = "hong"

    @computed_field
    @property
    def phone(self) -> str:
        return PHONE


@pydantic_dataclass(slots=True)
class SerializingDataclass:
    number: Annotated[int, PlainSerializer(lambda value: f"{PHONE} {value}")] = 7


class ModelSerializer(BaseModel):
    @model_serializer
    def serialize(self) -> str:
        return PHONE


@pytest.mark.parametrize(
    "model",
    [
        ComputedField,
        FieldSerializer,
        AnnotatedSerializer,
        NestedSerializer,
        JsonSerializer,
        ComputingDataclass,
        SerializingDataclass,
        ModelSerializer,
    ],
)
def test_computed_output_of_a_model_is_searched(model: type[Any]) -> None:
    def serialize() -> list[Any]:
        return [model()]

    with pytest.raises(UnsupportedValue, match="the computed output of a model"):
        secure_tool(pii_policy="mask")(serialize)()
    assert secure_tool(pii_policy="observe")(serialize)() == [model()]


class Raw(BaseModel):
    """Its bytes are not text, so it has no JSON form."""

    content: bytes = b"\xff"

    @computed_field
    @property
    def size(self) -> int:
        return len(self.content)


def test_a_model_without_personal_data_is_not_changed() -> None:
    class Clean(BaseModel):
        words: list[Annotated[str, PlainSerializer(lambda value: str(value).upper())]] = ["nothing"]

    for model in (Clean(), Raw()):
        assert secure_tool(pii_policy="mask")(lambda: model)() == model  # noqa: B023 - called at once


def test_numbering_equal_masked_keys_takes_linear_time() -> None:
    class Key(str):
        """Counts how often it is formatted."""

        __slots__ = ()
        made = 0

        def __format__(self, spec: str) -> str:
            Key.made += 1
            return str(self)

    distinct = number_duplicates([(Key(MASKED), number) for number in range(500)])
    assert list(distinct)[:3] == [MASKED, f"{MASKED} (2)", f"{MASKED} (3)"]
    assert len(distinct) == 500
    assert Key.made < 1_000
