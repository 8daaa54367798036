"""Which media types and languages a client accepts (RFC 9110 sections 12.5.1 and 12.5.4)."""

from collections.abc import Collection

__all__ = ["accepts", "preferred_languages"]

_MAX_LANGUAGE_RANGES = 32


def accepts(header: str | None, media_type: str) -> bool:
    """Whether a response may have this media type (lower case, without parameters) according to the Accept header.

    Without the header, and with an empty one, every media type is accepted. The most specific range decides, and a
    weight of 0 excludes it; parameters other than the weight are ignored.
    """
    if header is None or not header.strip():
        return True
    main_type = media_type.partition("/")[0]
    weights: dict[str, float] = {}
    for element in header.lower().split(","):
        media_range, *parameters = (part.strip() for part in element.split(";"))
        weights[media_range] = max(_weight(parameters), weights.get(media_range, 0.0))
    for media_range in (media_type, f"{main_type}/*", "*/*"):
        if media_range in weights:
            return weights[media_range] > 0
    return False


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 1.0
    return 1.0


def preferred_languages(header: str, supported: Collection[str]) -> list[str]:
    """The supported languages (two letters) of an Accept-Language header, the preferred one first."""
    weighted: list[tuple[float, str]] = []
    for element in header.split(",")[:_MAX_LANGUAGE_RANGES]:
        tag, *parameters = (part.strip().lower() for part in element.split(";"))
        weighted.append((_weight(parameters), tag.partition("-")[0]))
    weighted.sort(key=lambda each: -each[0])
    return [language for weight, language in weighted if weight > 0 and language in supported]
