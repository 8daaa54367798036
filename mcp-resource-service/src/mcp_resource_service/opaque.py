"""Names for things, made of letters only: a run of digits could look like a number that belongs to someone."""

__all__ = ["letters"]

HEX_TO_CONSONANTS = str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst")


def letters(data: bytes) -> str:
    """`data` in consonants, two a byte."""
    return data.hex().translate(HEX_TO_CONSONANTS)
