"""Whether a client already has the current version of a document (RFC 9110 section 13.1.2)."""

from collections.abc import Iterable

__all__ = ["is_unmodified"]


def is_unmodified(if_none_match: Iterable[str], etag: str) -> bool:
    """Whether the response is 304, from the lines of the If-None-Match header.

    `*` matches every version. The comparison is weak, since a proxy may have made a strong tag weak.
    """
    tags = {tag.strip().removeprefix("W/") for tag in ",".join(if_none_match).split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags
