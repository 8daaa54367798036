"""What browsers ask every site for by themselves: an icon, which the services have, and files that they do not have.

Nobody asked for these on purpose, so they are answered without a token and are no security events.
"""

import re
from importlib.resources import files

__all__ = ["ICON", "ICON_MEDIA_TYPE", "ICON_PATH", "is_asked_by_browsers"]

ICON_PATH = "/favicon.ico"
ICON_MEDIA_TYPE = "image/svg+xml"
ICON = files("security_common").joinpath("icon.svg").read_bytes()
"""The services' mark: a shield with a keyhole. Browsers go by the media type, not by the name of the path."""

_ASKED = re.compile(
    r"""/(?:
        favicon[\w.-]*\.(?:ico|png|svg)
      | apple-touch-icon[\w-]*\.png
      | robots\.txt | humans\.txt | ads\.txt | sitemap[\w-]*\.xml | browserconfig\.xml | crossdomain\.xml
      | manifest\.json | site\.webmanifest
      | apple-app-site-association
      | \.well-known/(?:
            appspecific/com\.chrome\.devtools\.json
          | apple-app-site-association | assetlinks\.json | change-password | passkey-endpoints | traffic-advice
          | security\.txt | dnt-policy\.txt | gpc\.json | related-website-set\.json | webauthn | web-identity
        )
    )""",
    re.VERBOSE,
)


def is_asked_by_browsers(path: str) -> bool:
    """Whether browsers, phones and search engines ask for this path without anybody's doing."""
    return _ASKED.fullmatch(path) is not None
