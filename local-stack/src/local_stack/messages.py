"""What the `local-stack` command prints, in the language of the locale."""

import os

from security_common.messages import translate_message

__all__ = ["CATALOGUES", "localize"]

CATALOGUES = ("local_stack", "security_common")


def localize(message: str) -> str:
    """The message in Korean under a Korean locale; otherwise, and without a translation, as it is."""
    return translate_message(message, CATALOGUES, os.environ)
