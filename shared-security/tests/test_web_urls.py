"""URLs are parsed like in browsers; ambiguous ones are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security_common.web_urls import is_loopback_url, parse_authority, parse_web_url


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://example.com", "example.com", None),
        ("HTTPS://Example.COM:8443/Path?q=1#f", "example.com", 8443),
        ("http://127.0.0.1:7777/callback", "127.0.0.1", 7777),
        ("http://[::1]:80/", "::1", 80),
        ("http://[0:0:0:0:0:0:0:1]/", "::1", None),
        ("https://xn--hxajbheg2az3al.xn--jxalpdlp/", "xn--hxajbheg2az3al.xn--jxalpdlp", None),
        ("https://under_score.example/", "under_score.example", None),
    ],
)
def test_a_valid_url_is_parsed(url: str, host: str, port: int | None) -> None:
    parsed = parse_web_url(url)
    assert (parsed.host, parsed.port) == (host, port)


NOT_A_HOST = (
    *("[::1].evil.example", "[::1]evil", "::1", "[::1", "[fe80::1%25eth0]", "[127.0.0.1]", "[]", ""),
    *("user@example.com", "user:password@example.com", "localhost@evil.example", "example.com:80@evil.example"),
    *("exam ple.com", "example.com\t", "example.com;script-src", "ex'ample.com", 'ex"ample.com', "ex\\ample.com"),
    *("example.com.", "localhost.", ".example.com", "a..b", "-a.example", "a-.example", "a" * 64 + ".example"),
    *("münchen.example", "localhost\u3002evil.example", "ｌocalhost", "example.com\u200b"),
    *("2130706433", "0x7f.1", "127.1", "0177.0.0.1", "1.2.3.4.5", "256.1.1.1", "127.0.0.0x1"),
    *("example.com:", "example.com:0", "example.com:65536", "example.com:80x", "example.com:-1", "example.com:٨٠"),
)


@pytest.mark.parametrize("authority", NOT_A_HOST, ids=ascii)
def test_an_invalid_host_is_refused(authority: str) -> None:
    for scheme in ("http", "https"):
        with pytest.raises(ValueError):
            parse_web_url(f"{scheme}://{authority}/callback")
    assert not is_loopback_url(f"http://{authority}/callback")


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "//example.com/", "example.com", "http:example.com", "http:///a"]
)
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        parse_web_url(url)


@pytest.mark.parametrize(
    "url", ["http://localhost", "https://a.localhost:1/", "http://127.8.9.1/", "http://[::1]:8080/x"]
)
def test_loopback_urls_are_recognized(url: str) -> None:
    assert is_loopback_url(url)


@pytest.mark.parametrize("url", ["http://localhost.evil.example", "http://evil.example/localhost", "http://10.0.0.1"])
def test_other_urls_are_not_loopback(url: str) -> None:
    assert not is_loopback_url(url)


@given(st.text() | st.text(alphabet=":/@[]%.;\\ abc019x\u3002"))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for prefix in ("", "http://", "https://[::1]"):
        try:
            parsed = parse_web_url(prefix + text)
        except ValueError:
            continue
        assert parsed.host.isascii()
        assert not set(parsed.host) & set(" ;,'\"\\@/%")


@given(st.text(alphabet=":[]%.;@ abc019"))
def test_any_authority_is_parsed_or_refused(text: str) -> None:
    try:
        parse_authority(text)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Example.com/mcp?x=1", "https://example.com"),
        ("https://example.com:443/mcp", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("http://example.com:443", "http://example.com:443"),
        ("http://[::1]:8082/mcp", "http://[::1]:8082"),
    ],
)
def test_the_origin_is_what_browsers_send(url: str, origin: str) -> None:
    assert parse_web_url(url).origin == origin
