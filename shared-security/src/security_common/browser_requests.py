"""Files that browsers request from every site on their own, and that the services do not have, except the icon.

Such a request is not a security event: it is answered without a token and not recorded.
"""

import re

__all__ = ["is_browser_file"]

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
