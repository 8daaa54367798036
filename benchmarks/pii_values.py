"""Generated values for the labelled corpus. Numbers are drawn at random and do not belong to a person."""

import string
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

__all__ = ["KINDS", "NEGATIVES", "make"]

_POOLS = tomllib.loads(Path(__file__).with_name("pii_pools.toml").read_text(encoding="utf-8"))
_POOLS |= {name: pool.split() for name, pool in _POOLS.items() if isinstance(pool, str) and " " in pool}
_NATIONAL_IDS = tomllib.loads(Path(__file__).with_name("pii_national_ids.toml").read_text(encoding="utf-8"))["values"]
_ALNUM = string.ascii_letters + string.digits
_UPPER = string.ascii_uppercase + string.digits


def _pick(rng: Random, pool: str) -> str:
    return rng.choice(_POOLS[pool])


def _digits(rng: Random, count: int, first: str = string.digits) -> str:
    return rng.choice(first) + "".join(rng.choices(string.digits, k=count - 1))


def _chars(rng: Random, count: int, alphabet: str = _ALNUM) -> str:
    return "".join(rng.choices(alphabet, k=count))


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))


def _luhn(body: str) -> str:
    total = sum(int(d) if i % 2 else sum(divmod(int(d) * 2, 10)) for i, d in enumerate(reversed(body)))
    return body + str(-total % 10)


def _with_wrong_last_digit(rng: Random, number: str) -> str:
    return number[:-1] + str((int(number[-1]) + rng.randint(1, 9)) % 10)


def _rrn(rng: Random) -> str:
    year, month, day = rng.randint(1940, 2025), rng.randint(1, 12), rng.randint(1, 28)
    foreign = rng.random() < 0.15
    sexes = {(False, False): "12", (False, True): "34", (True, False): "56", (True, True): "78"}[foreign, year >= 2000]
    body = f"{year % 100:02}{month:02}{day:02}{rng.choice(sexes)}" + _digits(rng, 5)
    check = (11 - _weighted(body, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11 + 2 * foreign) % 10
    last = rng.randint(0, 9) if year >= 2020 or rng.random() < 0.15 else check
    number, style = f"{body}{last}", rng.random()
    if style < 0.2 and last == check:
        return number
    return f"{number[:6]}{'-' if style < 0.92 else ' - '}{number[6:]}"


def _phone(rng: Random) -> str:
    a, b, area = _digits(rng, 4, "23456789"), _digits(rng, 4), _pick(rng, "areas")
    mobile = [f"010-{a}-{b}"] * 6 + [f"010{a}{b}"] * 2 + [f"010.{a}.{b}", f"010 {a} {b}", f"011-{a[:3]}-{b}"]
    landline = [
        f"02-{a}-{b}",
        f"02-{a[:3]}-{b}",
        f"{area}-{a[:3]}-{b}",
        f"{area}-{a}-{b}",
        f"070-{a}-{b}",
        f"0507-{a}-{b}",
    ]
    landline += [f"(02) {a[:3]}-{b}", f"02){a[:3]}-{b}"]
    abroad = [f"+82-10-{a}-{b}", f"+82 10-{a}-{b}", f"+8210{a}{b}", f"82-10-{a}-{b}", f"+1 (415) {a[:3]}-{b}"]
    abroad += [f"+1-212-{a[:3]}-{b}", f"+44 20 7{a[1:]} {b}", f"+81-90-{a}-{b}", f"+49 30 {a}{b}", f"+65 9{a[1:]} {b}"]
    return rng.choice(mobile + landline + abroad)


def _card(rng: Random) -> str:
    head = rng.choice(["4", "4", "51", "53", "55", "2221", "9", "6011", "3530", "34", "37", "36"])
    length = {"34": 15, "37": 15, "36": 14}.get(head, 16)
    number = _luhn(head + _digits(rng, length - 1 - len(head)))
    cuts = (4, 8, 12, 16) if length == 16 else (4, 10, length)
    return (
        rng.choice("-- ").join(number[a:b] for a, b in zip((0, *cuts), cuts, strict=False))
        if rng.random() < 0.8
        else number
    )


def _business(rng: Random) -> str:
    body = _digits(rng, 9, "123456")
    number = body + str(-(_weighted(body, (1, 3, 7, 1, 3, 7, 1, 3, 5)) + int(body[8]) * 5 // 10) % 10)
    return f"{number[:3]}-{number[3:5]}-{number[5:]}"


def _corporate(rng: Random) -> str:
    body = rng.choice(["110111", "131111", "180111", "120111", "200111", "110114"]) + _digits(rng, 6)
    return f"{body[:6]}-{body[6:]}{-_weighted(body, (1, 2) * 6) % 10}"


def _account(rng: Random) -> str:
    shapes = [
        (3, 3, 6),
        (6, 2, 6),
        (4, 3, 6),
        (3, 4, 4, 2),
        (4, 2, 7),
        (3, 6, 5),
        (3, 2, 6),
        (3, 6, 2, 3),
        (12,),
        (13,),
        (14,),
        (11,),
    ]
    return "-".join(_digits(rng, length, "123456789") for length in rng.choice(shapes))


def _iban(rng: Random) -> str:
    country, length = rng.choice([("DE", 22), ("FR", 27), ("NL", 18), ("ES", 24), ("GB", 22)])
    body = _digits(rng, length - 4)
    body = "ABNA" + body[4:] if country in {"NL", "GB"} else body
    remainder = int("".join(str(int(char, 36)) for char in f"{body}{country}00")) % 97
    compact = f"{country}{98 - remainder:02}{body}"
    return rng.choice([compact, " ".join(compact[i : i + 4] for i in range(0, length, 4))])


def _ip(rng: Random) -> str:
    if rng.random() < 0.2:
        return rng.choice(
            [f"2001:db8::{_digits(rng, 3, '123')}", f"2001:0db8:85a3:0000:0000:8a2e:0370:{_digits(rng, 4)}"]
        )
    network = rng.choice([10, 172, 192, 203, 211, 121, 58])
    return f"{network}.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"


def _birth(rng: Random) -> str:
    y, m, d = rng.randint(1940, 2015), rng.randint(1, 12), rng.randint(1, 28)
    long = [
        f"{y}-{m:02}-{d:02}",
        f"{y}.{m:02}.{d:02}",
        f"{y}년 {m}월 {d}일",
        f"{y}/{m:02}/{d:02}",
        f"{y}{m:02}{d:02}",
        f"{y}. {m}. {d}",
    ]
    return rng.choice([*long, f"{y}년 {m:02}월 {d:02}일", f"{y % 100:02}{m:02}{d:02}", f"{y % 100:02}.{m:02}.{d:02}"])


def _birth_english(rng: Random) -> str:
    y, m, d = rng.randint(1940, 2015), rng.randint(1, 12), rng.randint(1, 28)
    month = _POOLS["months"][m - 1]
    return rng.choice(
        [f"{m:02}/{d:02}/{y}", f"{month} {d}, {y}", f"{d} {month} {y}", f"{y}-{m:02}-{d:02}", f"{month[:3]} {d}, {y}"]
    )


def _person(rng: Random) -> str:
    rare = rng.random() < 0.03
    return (rng.choice(["남궁", "황보", "제갈", "선우"]) if rare else _pick(rng, "surnames")) + _pick(rng, "given")


def _person_english(rng: Random) -> str:
    return (
        _pick(rng, "romanised")
        if rng.random() < 0.15
        else f"{_pick(rng, 'english_first')} {_pick(rng, 'english_last')}"
    )


def _address(rng: Random) -> str:
    number = f"{rng.randint(1, 900)}" + (f"-{rng.randint(1, 40)}" if rng.random() < 0.3 else "")
    base = (
        f"{_pick(rng, 'roads')} {number}"
        if rng.random() < 0.65
        else f"{_pick(rng, 'lots')} {number}" + rng.choice(["", "번지"])
    )
    flat = f"{rng.randint(101, 120)}동 {rng.randint(101, 2500)}호"
    building = _pick(rng, "buildings")
    return base + rng.choice(
        ["", "", f" {building} {flat}", f", {rng.randint(1, 20)}층", f" {rng.randint(101, 999)}호", f", {building} 3층"]
    )


def _address_english(rng: Random) -> str:
    unit = rng.choice(["", "", f", Apt {rng.randint(1, 40)}{rng.choice('ABCD')}", f" Suite {rng.randint(100, 900)}"])
    city = rng.choice(["", f", {_pick(rng, 'cities')}", f", {_pick(rng, 'cities')}"])
    return f"{rng.randint(1, 9999)} {_pick(rng, 'streets')} {_pick(rng, 'street_types')}{unit}{city}"


def _secret(rng: Random) -> str:
    known = [
        f"AKIA{_chars(rng, 16, _UPPER)}",
        f"ghp_{_chars(rng, 36)}",
        f"sk-proj-{_chars(rng, 40)}",
        f"AIza{_chars(rng, 35)}",
    ]
    return rng.choice(
        [
            *known,
            f"xoxb-{_digits(rng, 12)}-{_chars(rng, 24)}",
            f"eyJhbGciOiJIUzI1NiJ9.{_chars(rng, 40)}.{_chars(rng, 43)}",
        ]
    )


def _passport(rng: Random) -> str:
    return rng.choice(
        [
            f"M{_digits(rng, 8)}",
            f"M{_digits(rng, 3)}{rng.choice(string.ascii_uppercase)}{_digits(rng, 4)}",
            f"S{_digits(rng, 8)}",
        ]
    )


def _plate(rng: Random) -> str:
    head = (
        f"{rng.randint(100, 699)}"
        if rng.random() < 0.5
        else rng.choice(["", "", "서울 ", "경기"]) + _digits(rng, 2, "123456789")
    )
    return f"{head}{_pick(rng, 'plate_letters')}{rng.choice([' ', ''])}{_digits(rng, 4)}"


def _national_id(country: str) -> Callable[[Random], str]:
    return lambda rng: rng.choice(_NATIONAL_IDS[country])


def _grouped(number: str) -> str:
    return "-".join(number[i : i + 4] for i in range(0, len(number), 4))


def _order(rng: Random) -> str:
    day = f"{rng.randint(2020, 2026)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    codes = [f"ORD-{day}-{_digits(rng, 6)}", f"{day}-{_digits(rng, 7)}"]
    return rng.choice([*codes, _digits(rng, 12, "123"), _digits(rng, 16, "1278"), _digits(rng, 10, "123456789")])


KINDS: Mapping[str, Callable[[Random], str]] = {
    "EMAIL": lambda rng: f"{_pick(rng, 'locals')}{rng.choice(['', _digits(rng, 2)])}@{_pick(rng, 'domains')}",
    "PHONE": _phone,
    "KR_RRN": _rrn,
    "CREDIT_CARD": _card,
    "IBAN": _iban,
    "IP": _ip,
    "US_SSN": lambda rng: f"{rng.randint(100, 665)}-{rng.randint(1, 99):02}-{rng.randint(1, 9999):04}",
    "PASSPORT": _passport,
    "DRIVER_LICENSE": lambda rng: f"{rng.randint(11, 28)}-{rng.randint(0, 24):02}-{_digits(rng, 6)}-{_digits(rng, 2)}",
    "BUSINESS_NUMBER": _business,
    "CORP_NUMBER": _corporate,
    "BANK_ACCOUNT": _account,
    "VEHICLE_PLATE": _plate,
    "CUSTOMS_CODE": lambda rng: f"P{_digits(rng, 12)}",
    "PERSON": _person,
    "PERSON_EN": _person_english,
    "ADDRESS": _address,
    "ADDRESS_EN": _address_english,
    "DATE_OF_BIRTH": _birth,
    "DATE_OF_BIRTH_EN": _birth_english,
    "SECRET": _secret,
    **{f"NATIONAL_ID_{country}": _national_id(country) for country in _NATIONAL_IDS},
}

NEGATIVES: Mapping[str, Callable[[Random], str]] = {
    "bank": lambda rng: _pick(rng, "banks"),
    "won": lambda rng: f"{rng.randint(1, 9999999):,}",
    "date": lambda rng: f"{rng.randint(2019, 2026)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
    "time": lambda rng: f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}",
    "version": lambda rng: f"{rng.randint(0, 20)}.{rng.randint(0, 30)}.{rng.randint(0, 99)}.{rng.randint(0, 9)}",
    "order": _order,
    "tracking": lambda rng: rng.choice(
        [_grouped(_digits(rng, 12, "56")), _digits(rng, 12, "3456"), _digits(rng, 13, "6")]
    ),
    "barcode": lambda rng: f"880{_digits(rng, 10)}",
    "isbn": lambda rng: f"978-89-{_digits(rng, 4)}-{_digits(rng, 3)}-{_digits(rng, 1)}",
    "epoch": lambda rng: f"17{_digits(rng, 11)}",
    "hex": lambda rng: _chars(rng, 40, "0123456789abcdef"),
    "uuid": lambda rng: "-".join(_chars(rng, k, "0123456789abcdef") for k in (8, 4, 4, 4, 12)),
    "bad_card": lambda rng: _grouped(_with_wrong_last_digit(rng, _luhn("4" + _digits(rng, 14)))),
    "bad_business": lambda rng: _with_wrong_last_digit(rng, _business(rng)),
    "bad_rrn": lambda rng: f"{rng.randint(40, 99)}{rng.randint(13, 99)}{rng.randint(32, 99)}-{_digits(rng, 7, '12')}",
    "bad_ssn": lambda rng: (
        f"{rng.choice(['000', '666', '9' + _digits(rng, 2)])}-{_digits(rng, 2, '123')}-{_digits(rng, 4)}"
    ),
    "n": lambda rng: str(rng.randint(2, 300)),
}


def make(name: str, rng: Random) -> str:
    """A value of one of KINDS, or one of NEGATIVES: a value that resembles personal data but is not."""
    return (KINDS.get(name) or NEGATIVES[name])(rng)
