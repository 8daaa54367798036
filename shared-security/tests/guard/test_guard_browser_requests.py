"""The list of what browsers ask for by themselves: it takes in their requests, and nothing that leads further."""

import pytest

from security_common.browser_requests import is_browser_file


@pytest.mark.parametrize(
    "path",
    [
        "/favicon.ico",
        "/favicon-32x32.png",
        "/apple-touch-icon.png",
        "/apple-touch-icon-precomposed.png",
        "/apple-touch-icon-120x120.png",
        "/robots.txt",
        "/sitemap.xml",
        "/site.webmanifest",
        "/.well-known/appspecific/com.chrome.devtools.json",
        "/.well-known/change-password",
        "/.well-known/assetlinks.json",
    ],
)
def test_a_browser_asks_for_it(path):
    assert is_browser_file(path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/mcp",
        "/mcp/favicon.ico",
        "/favicon.ico/..",
        "/favicon.ico\n",
        "/favicon.php",
        "/.env",
        "/wp-login.php",
        "/robots.txt.bak",
        "/apple-touch-icon/../mcp.png",
        "/.well-known/oauth-protected-resource",
        "/.well-known/openid-configuration",
    ],
)
def test_nobody_but_a_person_or_an_attacker_asks_for_it(path):
    assert not is_browser_file(path)
