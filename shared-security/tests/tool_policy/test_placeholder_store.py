"""A store of placeholders: equal values, owners, lifetimes and limits."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security_common.pii import PIIKind
from security_common.pii.placeholders import find_placeholders
from security_common.tool_policy import InMemoryPlaceholderStore, PlaceholderLimitReached
from security_common.tool_policy.placeholder_store import PersonalValue

OWNER, OTHER = "https://issuer.example u_1", "https://issuer.example u_2"
PHONE = PersonalValue.of(PIIKind.PHONE, "010-1234-5678")
NAME = PersonalValue.of(PIIKind.PERSON, "홍길동")
EVERY_KIND = frozenset(PIIKind)


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> InMemoryPlaceholderStore:
    return InMemoryPlaceholderStore(lifetime_seconds=60, per_owner=3, max_values=5, clock=clock)


def run(work: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await work

    return asyncio.run(wait())


def assign(store: InMemoryPlaceholderStore, owner: str, kind: PIIKind, written: str) -> str:
    value = PersonalValue.of(kind, written)
    return run(store.assign(owner, {value: written}))[value]


def resolve(store: InMemoryPlaceholderStore, owner: str, *placeholders: str) -> Any:
    return run(store.resolve(owner, placeholders, reveal=EVERY_KIND))


def test_a_value_keeps_its_placeholder(store: InMemoryPlaceholderStore) -> None:
    first = assign(store, OWNER, PIIKind.PHONE, "010-1234-5678")
    assert assign(store, OWNER, PIIKind.PHONE, "010-1234-5678") == first
    assert [each.kind for each in find_placeholders(first)] == [PIIKind.PHONE]
    assert resolve(store, OWNER, first) == {first: "010-1234-5678"}


@pytest.mark.parametrize(
    ("kind", "one", "same"),
    [
        (PIIKind.PHONE, "010-1234-5678", "01012345678"),
        (PIIKind.PHONE, "010-1234-5678", "+82 10-1234-5678"),
        (PIIKind.PHONE, "02-345-6789", "0082 (0)2 345 6789"),
        (PIIKind.PHONE, "010-1234-5678", "０１０-１２３４-５６７８"),
        (PIIKind.EMAIL, "Hong@Example.com", "hong@example.com"),
        (PIIKind.PERSON, "Gildong Hong", "GILDONG  HONG"),
        (PIIKind.KR_RRN, "880101-1234568", "8801011234568"),
        (PIIKind.CREDIT_CARD, "4111 1111 1111 1111", "4111-1111-1111-1111"),
        (PIIKind.IBAN, "DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        (PIIKind.BUSINESS_NUMBER, "220-81-62517", "2208162517"),
    ],
)
def test_other_spellings_have_the_same_placeholder(
    store: InMemoryPlaceholderStore, kind: PIIKind, one: str, same: str
) -> None:
    placeholder = assign(store, OWNER, kind, one)
    assert assign(store, OWNER, kind, same) == placeholder
    assert resolve(store, OWNER, placeholder) == {placeholder: one}


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (PIIKind.SECRET, "correct horse", "Correct horse"),
        (PIIKind.PHONE, "010-1234-5678", "010-1234-5679"),
        (PIIKind.PHONE, "+1 202-555-0143", "202-555-0143"),
        (PIIKind.EMAIL, "a.b@example.com", "ab@example.com"),
        (PIIKind.PERSON, "홍길동", "홍길순"),
    ],
)
def test_different_values_have_different_placeholders(
    store: InMemoryPlaceholderStore, kind: PIIKind, one: str, other: str
) -> None:
    assert assign(store, OWNER, kind, one) != assign(store, OWNER, kind, other)


def test_the_same_text_of_two_kinds_has_two_placeholders(store: InMemoryPlaceholderStore) -> None:
    number = "110-234-567890"
    assert assign(store, OWNER, PIIKind.BANK_ACCOUNT, number) != assign(store, OWNER, PIIKind.PHONE, number)


def test_owners_are_separate(store: InMemoryPlaceholderStore) -> None:
    mine = assign(store, OWNER, PIIKind.PHONE, "010-1234-5678")
    assert assign(store, OTHER, PIIKind.PHONE, "010-1234-5678") != mine
    assert resolve(store, OTHER, mine) == {}
    assert resolve(store, "https://issuer.example nobody", mine) == {}


def test_only_kinds_that_may_be_revealed_have_a_value(store: InMemoryPlaceholderStore) -> None:
    placeholders = run(store.assign(OWNER, {PHONE: "010-1234-5678", NAME: "홍길동"}))
    phone, name = placeholders[PHONE], placeholders[NAME]
    assert run(store.resolve(OWNER, [phone, name, "[PHONE_2B2B2B]"], reveal={PIIKind.PHONE})) == {
        phone: "010-1234-5678",
        name: None,
    }


def test_a_placeholder_expires_a_lifetime_after_it_was_last_assigned(
    store: InMemoryPlaceholderStore, clock: Clock
) -> None:
    used, unused = (assign(store, OWNER, PIIKind.PHONE, number) for number in ("010-1234-5678", "010-8765-4321"))
    clock.seconds += 59
    assert assign(store, OWNER, PIIKind.PHONE, "010-1234-5678") == used
    clock.seconds += 59
    assert resolve(store, OWNER, used, unused) == {used: "010-1234-5678"}
    clock.seconds += 1
    assert resolve(store, OWNER, used) == {}
    assert assign(store, OWNER, PIIKind.PHONE, "010-1234-5678") != used


def test_an_owner_can_be_forgotten(store: InMemoryPlaceholderStore) -> None:
    mine = assign(store, OWNER, PIIKind.PHONE, "010-1234-5678")
    other = assign(store, OTHER, PIIKind.PHONE, "010-1234-5678")
    run(store.forget(OWNER))
    run(store.forget(OWNER))
    assert resolve(store, OWNER, mine) == {}
    assert resolve(store, OTHER, other) == {other: "010-1234-5678"}


def test_an_owner_has_a_limited_number_of_placeholders(store: InMemoryPlaceholderStore, clock: Clock) -> None:
    known = [assign(store, OWNER, PIIKind.PHONE, f"010-1234-567{digit}") for digit in range(3)]
    with pytest.raises(PlaceholderLimitReached) as refused:
        assign(store, OWNER, PIIKind.PHONE, "010-1234-5673")
    assert "3 placeholders" in refused.value.description
    assert assign(store, OWNER, PIIKind.PHONE, "010-1234-5670") == known[0]
    clock.seconds += 60
    assign(store, OWNER, PIIKind.PHONE, "010-1234-5673")


def test_the_owner_who_was_not_active_for_the_longest_time_is_forgotten(store: InMemoryPlaceholderStore) -> None:
    oldest = assign(store, OWNER, PIIKind.PHONE, "010-1234-5678")
    newest = [assign(store, f"owner {number}", PIIKind.PHONE, "010-1234-5678") for number in range(5)]
    assert resolve(store, OWNER, oldest) == {}
    assert [len(resolve(store, f"owner {number}", newest[number])) for number in range(5)] == [1] * 5


def test_owners_whose_placeholders_have_expired_take_no_memory(store: InMemoryPlaceholderStore, clock: Clock) -> None:
    for number in range(100):
        assign(store, f"owner {number}", PIIKind.PHONE, "010-1234-5678")
        clock.seconds += 60
    owners: dict[str, Any] = vars(store)["_owners"]
    assert len(owners) == 1


@given(st.lists(st.tuples(st.sampled_from(PIIKind), st.text(min_size=1, max_size=20)), max_size=30))
def test_every_value_can_be_put_back(values: list[tuple[PIIKind, str]]) -> None:
    store = InMemoryPlaceholderStore()
    written = {PersonalValue.of(kind, text): text for kind, text in values}
    first = run(store.assign(OWNER, written))
    assert run(store.assign(OWNER, written)) == first
    assert len(set(first.values())) == len(written)
    assert resolve(store, OWNER, *first.values()) == {first[value]: text for value, text in written.items()}
    assert all(not resolve(store, OTHER, placeholder) for placeholder in first.values())
