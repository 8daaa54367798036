"""Postal addresses of other countries: from house number and street to postcode, or from province to room."""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText, any_label
from security_common.pii.postal_addresses import trimmed_end
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_word, read_lists

__all__ = ["FOREIGN_ADDRESSES"]

_WORDS = read_lists("address_words")
_LABEL_GAP = r"[\s:=\-\"'\[(|>]{0,5}"
_STREET_TYPE, _WEAK_STREET_TYPE = any_word(_WORDS["street_types"]), any_word(_WORDS["weak_street_types"])
_STREET_PARTICLE = any_word(_WORDS["street_particles"])
_FRENCH_STREET, _ROMANCE_STREET, _GERMANIC_STREET = (
    any_word(_WORDS[f"{language}_streets"]) for language in ("french", "romance", "germanic")
)
# Teheran-ro, Sajik-ro 8-gil
_ROMANISED_KOREAN_ROAD = (
    r"[A-Z][A-Za-z]+(?:[ ][a-z]{3,12}(?=-))?-?(?:daero|ro|gil)(?:[ ]?[0-9]{1,3}(?:beon)?-?gil)?(?![A-Za-z])"
)
_UNIT = (
    # Apt 4B, Suite #200
    r"(?:,?[ ](?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl|Room|Rm|Bldg|Building|No)"
    r"(?:\.?[ ]#?|\.?#|\.|(?=[0-9]))[A-Za-z0-9\-]{1,6}(?![A-Za-z0-9])"
    # 3º B, with the sign normalized to o
    r"|,?[ ][0-9]{1,2}[oªº°a]?[ ]?[A-D](?![A-Za-z0-9])"
    # #05-12
    r"|,?[ ]#[0-9]{1,3}-[0-9]{1,4}"
    # #12; 3rd floor
    r"|,?[ ]#[ ]?[A-Za-z0-9\-]{1,6}|,[ ][0-9]{1,2}(?:st|nd|rd|th)[ ][Ff]loor)"
)
_CITY = r"(?:,[ \n]?[A-Z][A-Za-z.'\-]+(?![A-Za-z0-9])(?:[ ](?:of|(?:[A-Z][A-Za-z.'\-]+))(?![A-Za-z0-9])){0,3})"
_UPPER, _LOWER = "[A-ZÀ-Þ]", r"[A-Za-zß-ÿ'\-]"
_STREET_NAME = rf"(?:[ ]{_STREET_PARTICLE}){{0,2}}(?:[ ']?{_UPPER}{_LOWER}+){{1,3}}"
_EUROPEAN_STREET = (
    # 45 bis, Rue de Rivoli
    rf"(?:[0-9]{{1,4}}(?:[ ]?(?:bis|ter|[a-z]))?,?[ ]{_FRENCH_STREET}{_STREET_NAME}"
    # Calle de Alcalá, 12
    rf"|{_ROMANCE_STREET}{_STREET_NAME},?[ ][0-9]{{1,4}}[a-z]?"
    # Friedrichstraße 43
    rf"|{_UPPER}{_LOWER}{{2,20}}(?:[ -]{_UPPER}{_LOWER}{{1,15}}){{0,2}}[ -]?{_GERMANIC_STREET}[ ]"
    r"[0-9]{1,4}[ ]?[a-z]?(?![A-Za-z]))"
)
_POSTCODE = (
    # 75001 Paris; 1012 AB Amsterdam
    r"(?:,?[ ](?:[0-9]{4,5}[ ](?:[A-Z]{2}[ ])?[A-ZÀ-Þ][A-Za-zß-ÿ\-]+(?:[ ][A-Z][a-zß-ÿ]+)?"
    # Singapore 329333
    r"|[A-Z][a-z]+[ ][0-9]{5,6}|[0-9]{6}"
    # DC 20500; SW1A 2AA
    r"|[A-Z]{2}[ ][0-9]{5}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][A-Z0-9]?[ ][0-9][A-Z]{2}"
    # ON K1A 0B1; 20500
    r"|[A-Z]{2}(?:[ ][A-Z][0-9][A-Z][ ][0-9][A-Z][0-9])?|[0-9]{5}(?:-[0-9]{4})?)(?![A-Za-z0-9]))"
)
_STREET_IN_FRONT = r"(?:Jalan|Jln\.?|Jl\.?|Lorong|Soi|Sukhumvit|Calle|Rua|Via)"
_VIETNAMESE_WORD = r"[A-ZĐ\u00c0-\u1ef8][a-z\u00df-\u1ef9]{0,10}"
_VIETNAMESE_STREET = (
    rf"(?:[Ss]ố[ ])?[0-9]{{1,4}}[A-Za-z]?(?:/[0-9]{{1,4}})?[ ](?:[Đđ]ường[ ]|[Pp]hố[ ])?"
    rf"{_VIETNAMESE_WORD}(?:[ ]{_VIETNAMESE_WORD}){{0,3}},[ ](?:District|Ward|Quận|Phường|Quan|Phuong)[ ]"
    rf"(?:[0-9]{{1,2}}|{_VIETNAMESE_WORD})(?:,[ ](?:TP\.?[ ])?{_VIETNAMESE_WORD}(?:[ ]{_VIETNAMESE_WORD}){{0,3}})?"
)
_FOREIGN_ADDRESS = re.compile(
    r"(?<![0-9A-Za-z#.\-])"
    # a unit in front: Apt 4B,
    r"(?:#?[0-9]{1,5}(?:-[0-9]{1,5})?[ ]?,[ ]|(?:Apt|Flat|Unit|Suite|Room)\.?[ ][A-Za-z0-9\-]{1,6},[ ]"
    r"|P\.?[ ]?O\.?[ ]Box[ ][0-9]{1,6},[ ])?(?:"
    # 1600 N. Pennsylvania Avenue NW
    r"[0-9]{1,6}[A-Za-z]?(?:-[0-9]{1,4})?,?[ ](?:[NSEW]\.?[ ]|North[ ]|South[ ]|East[ ]|West[ ])?"
    rf"(?:(?:[A-Z][A-Za-z'.]+|[0-9]{{1,3}}(?:st|nd|rd|th))[ ]){{1,4}}{_STREET_TYPE}\.?(?![A-Za-z])"
    r"(?:[ ](?:N|S|E|W|NE|NW|SE|SW)(?![A-Za-z]))?"
    # a street type that is also a word (Oaklands Park), if city and postcode follow
    rf"|[0-9]{{1,4}}[A-Za-z]?,?[ ](?:[A-Z][A-Za-z'.]+[ ]){{1,3}}{_WEAK_STREET_TYPE}"
    rf"(?={_UNIT}?{_CITY}{{1,2}}{_POSTCODE})"
    # 8 Jalan Kemaman
    rf"|(?:No\.?[ ]?)?[0-9]{{1,4}}[A-Za-z]?,?[ ]{_STREET_IN_FRONT}(?:[ ][A-Z][a-z]+){{1,3}}(?:[ ][0-9]{{1,3}})?"
    # 123 Nguyen Hue, District 1
    rf"|{_VIETNAMESE_STREET}"
    rf"|{_EUROPEAN_STREET}"
    # 2-8-1 Nishi-Shinjuku
    r"|[0-9]{1,2}(?:-[0-9]{1,3}){2},?[ ][A-Z][a-z]+(?:-[A-Z]?[a-z]+|(?=,))"
    rf"|[0-9]{{1,5}}(?:-[0-9]{{1,4}})?,?[ ]{_ROMANISED_KOREAN_ROAD}"
    r"|[0-9]{1,5}[ ]Broadway|P\.?[ ]?O\.?[ ]Box[ ][0-9]{1,6})"
    rf"{_UNIT}?(?:{_CITY}){{0,3}}{_POSTCODE}?(?:{_CITY})?{_POSTCODE}?"
)
# 東京都新宿区西新宿2-8-1, 北京市朝阳区建国路88号
_HAN, _HAN_OR_KANA = "\u3005\u4e00-\u9fff", "\u3005\u3040-\u30ff\u4e00-\u9fff"
_JAPANESE_ADDRESS = (
    rf"(?:〒?[ ]?[0-9]{{3}}-[0-9]{{4}}[ ]?)?(?:東京都|北海道|大阪府|京都府|[{_HAN}]{{2,3}}県)[{_HAN_OR_KANA}-]{{2,20}}?"
    r"[0-9]{1,4}(?:(?:丁目|番地?|号|-)[0-9]{0,4}){0,4}"
    rf"(?:[ ]?[{_HAN_OR_KANA}A-Za-z0-9-]{{1,20}}[0-9]{{1,4}}(?:号室?|階))?"
)
_CHINESE_ADDRESS = (
    rf"(?:[{_HAN}]{{2,4}}(?:省|自治区))?[{_HAN}]{{2,4}}[市州](?:[{_HAN}]{{1,6}}[区县市])?"
    rf"[{_HAN}0-9]{{1,12}}(?:路|街|道|巷|大道|胡同|段)[0-9]{{1,5}}(?:号|號|弄)"
    rf"(?:[{_HAN}A-Z0-9-]{{1,16}}(?:室|楼|樓|单元|栋|层|座)){{0,3}}"
)
# 3 Weir Cottages, Ludlow SY8 1DZ; The Old Forge, Church Ln, Diss IP22 4BQ: any words before a British postcode
_BRITISH_WORDS = r"[A-Z][A-Za-z'’.]{1,15}(?: (?:[A-Z][A-Za-z'’.]{1,15}|of|on|upon|le|the)){0,3}"
_BRITISH_ADDRESS = re.compile(
    r"(?<![0-9A-Za-z#.\-])"
    r"(?:(?:Flat|Unit|Apt|Apartment|Room) [0-9A-Za-z]{1,4},? |The (?=[A-Z])|[0-9]{1,4}[A-Za-z]? )"
    rf"(?:[0-9]{{1,4}}[A-Za-z]? )?{_BRITISH_WORDS}(?:, (?:[0-9]{{1,4}}[A-Za-z]? )?{_BRITISH_WORDS}){{1,3}},?"
    r" [A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}(?![A-Za-z0-9])"
)
_EAST_ASIAN_ADDRESS = re.compile(f"{_JAPANESE_ADDRESS}|{_CHINESE_ADDRESS}")
_CAPITALISED_OR_NUMBER = r"[A-ZÀ-Þ0-9#][A-Za-z0-9À-ž.'#/\-]{0,24}"
_LABELLED_FOREIGN_ADDRESS = re.compile(
    rf"{_LABEL_GAP}(?=[^,\n]{{1,60}},)"  # an address has a comma
    rf"({_CAPITALISED_OR_NUMBER}(?:,?[ ](?:{_CAPITALISED_OR_NUMBER}|{_STREET_PARTICLE})(?![A-Za-z])){{2,14}})"
)
_HAS_HOUSE_NUMBER = re.compile(r"(?<![0-9.\-])[0-9]{1,6}[A-Za-z]?(?:-[0-9]+)*(?![0-9:])")
# Apt 7, alone in its field
_UNIT_WORD = "(?:Apt|Apartment|Suite|Ste|Unit|Floor|Flat|Room|Rm)"
_LABELLED_UNIT = re.compile(rf"{_LABEL_GAP}({_UNIT_WORD}\.?[ ]?#?[A-Za-z0-9\-]{{1,6}})(?=[\"'\n,;|)\]}}\t]|\s*$)")
# The recipient in front of an address: Rafael Mbeki, 2300 Cedar Hollow Drive
_RECIPIENT = re.compile(r"([A-ZÀ-Þ][A-Za-zÀ-ž'.\-]{1,20}(?:[ ][A-ZÀ-Þ][A-Za-zÀ-ž'.\-]{0,20}){1,3}),[ ](?=[0-9#])")


def _find_after_labels(source: LabelledText) -> Iterator[Finding]:
    """Capitalised words and numbers in a row, in any order, if one of them can be a house number."""
    text = source.text
    for label in source.labels.of_kind("ADDRESS"):
        match = _LABELLED_FOREIGN_ADDRESS.match(text, label.end)
        if match is not None and _HAS_HOUSE_NUMBER.search(match.group(1)):
            start = match.start(1)
            recipient = _RECIPIENT.match(text, start)
            if recipient is not None:
                yield Finding(PIIKind.PERSON, *recipient.span(1), 0.8, "label")
                start = recipient.end()
            yield Finding(PIIKind.ADDRESS, start, trimmed_end(text, start, match.end(1)), 0.95, "label")
        unit = _LABELLED_UNIT.match(text, label.end)
        if unit is not None:
            yield Finding(PIIKind.ADDRESS, *unit.span(1), 0.9, "label")


def _find_streets(source: LabelledText) -> Iterator[Finding]:
    """A house number and a street; unit, city, state and postcode if they follow."""
    text = source.text
    for match in _FOREIGN_ADDRESS.finditer(text):
        yield Finding(PIIKind.ADDRESS, match.start(), trimmed_end(text, *match.span()), 0.94, "street")


def _find_east_asian_addresses(source: LabelledText) -> Iterator[Finding]:
    for match in _EAST_ASIAN_ADDRESS.finditer(source.text):
        yield Finding(PIIKind.ADDRESS, *match.span(), 0.94, "region")


def _find_british_addresses(source: LabelledText) -> Iterator[Finding]:
    for match in _BRITISH_ADDRESS.finditer(source.text):
        yield Finding(PIIKind.ADDRESS, *match.span(), 0.95, "postcode")


# The places where foreign addresses are searched for at all.
_PLACE_OF_ADDRESS = (
    r"[0-9][A-Za-z]?,? (?:[A-Z0-9][A-Za-z0-9.]|[NSEW] [A-Z])|Box [0-9]"
    # an apartment alone behind a label
    rf"|(?i:addr(?:ess)?[a-z_ ]{{0,8}}[0-9]?|line ?2)[\"' ]{{0,2}}[:=] ?[\"']?{_UNIT_WORD}"
    # East Asian ones
    "|[都道府県市区县路街巷段][\u3005\u3040-\u30ff\u4e00-\u9fff-]{0,16}[0-9]"
    rf"|[0-9],? {_FRENCH_STREET} |{_GERMANIC_STREET} [0-9]|{_ROMANCE_STREET} "
)
_STREETS_GATE = (
    # a house number before a capital or 42nd
    r"[0-9][A-Za-z]?,? (?:[A-Z]|[0-9]{1,3}(?:st|nd|rd|th))"
    "|[0-9][A-Za-z]? (?:[Đđ]ường|[Pp]hố|[Đ\u00c0-\u1ef8])"
    rf"|[0-9](?: ?(?:bis|ter|[a-z]))?,? {_FRENCH_STREET}|{_ROMANCE_STREET}|{_GERMANIC_STREET} [0-9]|Box [0-9]"
)
FOREIGN_ADDRESSES = (
    Rule(any_label("ADDRESS"), _find_after_labels, also_required=_PLACE_OF_ADDRESS, begins_with_word=True),
    Rule(_STREETS_GATE, _find_streets, also_required=_PLACE_OF_ADDRESS),
    Rule(" [A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z][A-Z]", _find_british_addresses),
    Rule(f"[{_HAN}]", _find_east_asian_addresses, also_required=_PLACE_OF_ADDRESS),
)
