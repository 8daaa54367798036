"""Files that browsers request from every site on their own: the services' icon, and files that they do not have.

Such a request is not a security event: it is answered without a token and not recorded.
"""

import re
from importlib.resources import files

__all__ = ["ICON", "ICON_MEDIA_TYPE", "ICON_PATH", "is_browser_file"]

ICON_PATH = "/favicon.ico"
ICON_MEDIA_TYPE = "image/svg+xml"
ICON = files("security_common").joinpath("icon.svg").read_bytes()
"""The icon of the services. Browsers decide by the media type, not by the extension of the path."""

_BROWSER_FILE = re.compile(
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


def is_browser_file(path: str) -> bool:
    """Whether browsers, phones and search engines request this path on their own."""
    return _BROWSER_FILE.fullmatch(path) is not None
