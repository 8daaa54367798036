"""How users reach the operator of a service."""

import re

from security_common.web_urls import parse_web_url

__all__ = ["contact_address", "parse_contact"]

_EMAIL_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,255}")


def parse_contact(text: str) -> str:
    """Checks that the text is an email address, an https URL, or empty. Raises ValueError."""
    if not text or _EMAIL_ADDRESS.fullmatch(text):
        return text
    try:
        is_https = parse_web_url(text).scheme == "https"
    except ValueError:
        is_https = False
    if not is_https:
        raise ValueError("must be an email address or an https URL")
    return text


def contact_address(contact: str) -> str:
    """The address of a link to the operator; empty without a contact."""
    return f"mailto:{contact}" if _EMAIL_ADDRESS.fullmatch(contact) else contact
