"""E-mail addresses, and the names of files, units, machines and packages that only look like one."""

from datetime import date

import pytest

from security_common.pii import PIIKind, get_pii_detector
from security_common.pii.email_addresses import EMAIL_ADDRESSES
from security_common.pii.labels import LabelledText

detector = get_pii_detector()


def _emails(text: str) -> list[str]:
    return [text[found.start : found.end] for found in detector.scan_text(text) if found.kind is PIIKind.EMAIL]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("메일 hong@example.com 로", "hong@example.com"),
        ("hong@example.com(개인)", "hong@example.com"),
        ("hong@example.com: 문의", "hong@example.com"),
        ("contacto: hong@correo.com.py", "hong@correo.com.py"),
        ("see https://a.example/x, mail hong@example.com", "hong@example.com"),
        ("<hong@example.co.kr>", "hong@example.co.kr"),
        ("hong+news@mail.example.io.", "hong+news@mail.example.io"),
        ("hong (at) example (dot) com", "hong (at) example (dot) com"),
        ("VALUES (N'hong@example.com', N'x')", "hong@example.com"),
        ("mail o'brien@example.com", "o'brien@example.com"),
        ("crm://hong@example.com/orders", "hong@example.com"),
        ("contacts://hong@example.com", "hong@example.com"),
    ],
)
def test_an_address_is_found(text: str, address: str) -> None:
    assert _emails(text) == [address]


@pytest.mark.parametrize(
    "text",
    [
        # units of systemd
        "systemctl restart wg-quick@wg0.service",
        "user@1000.service: Deactivated successfully",
        "getty@tty1.service loaded",
        "backup@daily.timer next run 03:00",
        "docker@main.socket listening",
        "fstrim@root.mount",
        "restic@home.target",
        "cryptswap@sda2.swap",
        "session@c1.scope",
        "apps@web.slice",
        # repositories and machines
        "git clone git@github.com:org/repo.git",
        "git@gitlab.example.com:group/sub/repo.git",
        "scp a.txt deploy@web1.example.com:/srv/www",
        "ssh -p 22 -i key deploy@web1.example.com",
        "sftp deploy@files.example.com",
        "rsync -avz ./dist/ deploy@web1.example.com:releases/42/",
        "ssh-copy-id admin@db.example.com",
        "postgres://app@db.example.com/app",
        "postgresql+psycopg2://app@db.example.com/app",
        "git+ssh://deploy@git.example.com/repo",
        "HTTPS://deploy@www.example.com/",
        # packages and images
        "npm install lodash@4.17.21 react@next",
        "import x from '@scope/pkg'",
        "registry.example.com/app@sha256:9f86d081884c7d659a2feaa0c55ad015",
        "uses: actions/checkout@v4",
        "golang.org/x/tools@latest",
        "pip install pkg@git+https://example.com/pkg.git",
        # files
        "logo@2x.png",
        "draft@final.docx",
        "notes@draft.md",
        "dump@2026.sql",
        # code and headers of messages
        "y = x @ weights.data[0]",
        "grad @ layer.transpose(0, 1)",
        "@pytest.fixture",
        "Message-ID: <20261128.4711@mail.example.com>",
        '"In-Reply-To": "<4711.abc@mail.example.com>"',
    ],
)
def test_other_names_with_an_at_sign_are_left_alone(text: str) -> None:
    assert detector.scan_text(text) == []


class _CountingText(str):
    """A text that counts how often it is searched as a whole."""

    __slots__ = ()
    searches = 0

    def __contains__(self, part: object) -> bool:
        _CountingText.searches += 1
        return super().__contains__(str(part))


@pytest.mark.parametrize("addresses", [1, 10, 1000])
def test_the_whole_text_is_searched_once_however_many_addresses_it_has(addresses: int) -> None:
    source = LabelledText(_CountingText("a@example.com " * addresses), lambda: date(2026, 11, 30))
    _CountingText.searches = 0

    found = list(EMAIL_ADDRESSES.find(source))

    assert len(found) == addresses
    assert _CountingText.searches == 1
