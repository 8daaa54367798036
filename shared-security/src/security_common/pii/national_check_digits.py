"""Check digits and ranges of the national identification numbers of other countries, in the order of their codes.

Each function takes digits and capitals without separators, of the right length and shape, and returns whether the
number is valid. Numbers without check digits are not in this module.
"""

import re

from security_common.pii.check_digits import is_calendar_date, passes_luhn, weighted_sum

__all__ = [
    "is_valid_aadhaar",
    "is_valid_cnpj",
    "is_valid_codice_fiscale",
    "is_valid_cpf",
    "is_valid_dni",
    "is_valid_hkid",
    "is_valid_medicare_card",
    "is_valid_my_number",
    "is_valid_nhs_number",
    "is_valid_nir",
    "is_valid_nric",
    "is_valid_resident_identity_number",
    "is_valid_social_insurance_number",
    "is_valid_steuer_id",
    "is_valid_taiwan_id",
    "is_valid_tax_file_number",
    "is_valid_thai_id",
]

_EARLIEST_YEAR_OF_BIRTH = 1880


def is_valid_medicare_card(digits: str) -> bool:
    """Australia, Medicare card: eight digits, a check digit, the issue, and sometimes the place on the card."""
    return digits[0] in "23456" and weighted_sum(digits, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(digits[8])


def is_valid_tax_file_number(digits: str) -> bool:
    """Australia, tax file number of nine digits: a weighted sum that is a multiple of 11."""
    return weighted_sum(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0 and len(set(digits)) > 1


def _brazilian_check_digit(digits: str, weights: tuple[int, ...]) -> int:
    remainder = weighted_sum(digits, weights) % 11
    return 11 - remainder if remainder > 1 else 0


def is_valid_cpf(digits: str) -> bool:
    """Brazil, CPF (Cadastro de Pessoas Físicas): nine digits and two check digits modulo 11."""
    first = _brazilian_check_digit(digits, (10, 9, 8, 7, 6, 5, 4, 3, 2))
    second = _brazilian_check_digit(digits, (11, 10, 9, 8, 7, 6, 5, 4, 3, 2))
    return digits[9:] == f"{first}{second}" and len(set(digits)) > 1


def is_valid_cnpj(digits: str) -> bool:
    """Brazil, CNPJ (Cadastro Nacional da Pessoa Jurídica), of companies: twelve digits and two check digits."""
    first = _brazilian_check_digit(digits, (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))
    second = _brazilian_check_digit(digits, (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))
    return digits[12:] == f"{first}{second}" and len(set(digits)) > 1


def is_valid_social_insurance_number(digits: str) -> bool:
    """Canada, social insurance number: the Luhn formula; no number begins with 0 or 8."""
    return digits[0] not in "08" and passes_luhn(digits)


def is_valid_resident_identity_number(number: str) -> bool:
    """China, resident identity number (GB 11643-1999): region, date of birth, order, ISO 7064 MOD 11-2 check digit."""
    year, month, day = int(number[6:10]), int(number[10:12]), int(number[12:14])
    if year < _EARLIEST_YEAR_OF_BIRTH or not is_calendar_date(year, month, day):
        return False
    total = weighted_sum(number[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))
    return "10X98765432"[total % 11] == number[17]


def is_valid_steuer_id(digits: str) -> bool:
    """Germany, steuerliche Identifikationsnummer: ISO 7064 MOD 11,10; of the first ten digits exactly one is repeated.

    It occurs two or three times (§ 139b Abgabenordnung and the rules of the Bundeszentralamt für Steuern).
    """
    repeated = [digits[:10].count(digit) for digit in set(digits[:10]) if digits[:10].count(digit) > 1]
    if digits[0] == "0" or repeated not in ([2], [3]):
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def is_valid_dni(number: str) -> bool:
    """Spain, DNI and NIE: a letter for the remainder modulo 23. The X, Y or Z of an NIE counts as 0, 1 or 2."""
    digits = number[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23] == number[-1]


def is_valid_nir(number: str) -> bool:
    """France, NIR (numéro de sécurité sociale): 13 characters and a key modulo 97. Corsica is 2A or 2B."""
    digits = number.replace("2A", "19", 1).replace("2B", "18", 1) if number[6] in "AB" else number
    month = int(digits[3:5])
    is_month = 1 <= month <= 12 or 20 <= month <= 42 or month >= 50  # 20 and more: the month is not known
    return digits[0] in "12" and is_month and 97 - int(digits[:13]) % 97 == int(digits[13:])


def is_valid_nhs_number(digits: str) -> bool:
    """United Kingdom, NHS number of ten digits: modulo 11."""
    check_digit = 11 - weighted_sum(digits, (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return check_digit % 11 == int(digits[9]) and len(set(digits)) > 1


def is_valid_hkid(number: str) -> bool:
    """Hong Kong, identity card: one or two letters, six digits, a check digit modulo 11 (A is 10).

    The letters A to Z count as 10 to 35, and the missing first letter of most numbers as 36.
    """
    values = [int(char, 36) for char in number[:-1]]
    if len(values) == 7:
        values = [36, *values]
    total = sum(value * weight for value, weight in zip(values, range(9, 1, -1), strict=True))
    return (total + int(number[-1], 36)) % 11 == 0


def is_valid_aadhaar(digits: str) -> bool:
    """India, Aadhaar: twelve digits, the first one from 2 to 9, and the check digit of Verhoeff (1969)."""
    check = 0
    for position, digit in enumerate(reversed(digits)):
        check = _VERHOEFF_PRODUCT[check][_VERHOEFF_PERMUTATION[position % 8][int(digit)]]
    return check == 0 and digits[0] not in "01" and digits != digits[::-1]


def _dihedral_product(left: int, right: int) -> int:
    """The product in the dihedral group D5, whose elements are numbered 0 to 9."""
    if left < 5:
        return (left + right) % 5 if right < 5 else 5 + (left + right) % 5
    return 5 + (left - right) % 5 if right < 5 else (left - right) % 5


def _verhoeff_permutations() -> list[list[int]]:
    """The eight powers of the permutation that Verhoeff chose."""
    chosen = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    powers = [list(range(10))]
    for _ in range(7):
        powers.append([chosen[digit] for digit in powers[-1]])
    return powers


_VERHOEFF_PRODUCT = [[_dihedral_product(left, right) for right in range(10)] for left in range(10)]
_VERHOEFF_PERMUTATION = _verhoeff_permutations()

# The values of characters at odd places (Decreto ministeriale 23 December 1976); at even places A is 0 and B is 1.
_CODICE_FISCALE_ODD_VALUES = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21) * 2 + (2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)


def is_valid_codice_fiscale(number: str) -> bool:
    """Italy, codice fiscale of a person: 15 characters and a letter for the sum of their values modulo 26."""
    odd = sum(_CODICE_FISCALE_ODD_VALUES[char] for char in number[0:15:2])
    even = sum(int(char) if char.isdigit() else ord(char) - ord("A") for char in number[1:15:2])
    return chr(ord("A") + (odd + even) % 26) == number[15]


def is_valid_my_number(digits: str) -> bool:
    """Japan, individual number (マイナンバー): eleven digits and a check digit modulo 11."""
    remainder = weighted_sum(digits, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return int(digits[11]) == (0 if remainder <= 1 else 11 - remainder) and len(set(digits)) > 1


def is_valid_nric(number: str) -> bool:
    """Singapore, NRIC and FIN: S, T, F, G or M, seven digits, a letter for the weighted sum modulo 11."""
    total = weighted_sum(number[1:8], (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(number[0], 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "XWUTRQPNJLK"}.get(number[0], "XWUTRQPNMLK")
    return letters[total % 11] == number[8]


def is_valid_thai_id(digits: str) -> bool:
    """Thailand, identification number of thirteen digits: modulo 11."""
    return (11 - weighted_sum(digits, range(13, 1, -1)) % 11) % 10 == int(digits[12]) and digits[0] not in "09"


# The letter of the place of registration is read as two digits.
_TAIWAN_LETTERS = {letter: str(value) for value, letter in enumerate("ABCDEFGHJKLMNPQRSTUVXYWZIO", start=10)}
_HAS_SECOND_LETTER = re.compile(r"[A-Z][A-D]")


def is_valid_taiwan_id(number: str) -> bool:
    """Taiwan, identity card and resident certificate: a letter and nine digits, on old certificates two letters."""
    second = _TAIWAN_LETTERS[number[1]][1] if _HAS_SECOND_LETTER.match(number) else number[1]
    digits = _TAIWAN_LETTERS[number[0]] + second + number[2:]
    return weighted_sum(digits, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0
