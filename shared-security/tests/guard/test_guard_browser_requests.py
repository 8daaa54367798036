"""Which paths count as files that browsers request on their own."""

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
def test_browser_file_is_recognized(path):
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
def test_other_path_is_not_a_browser_file(path):
    assert not is_browser_file(path)
