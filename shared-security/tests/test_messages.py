"""The messages of the commands under English and Korean locales."""

import pytest

from security_common.messages import is_korean, translate_message

KOREAN = {"LANG": "ko_KR.UTF-8"}
PACKAGES = ("security_common",)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "kok_IN.UTF-8"}, False),
        ({"LANG": "ko_KR.UTF-8"}, True),
        ({"LANG": "ko"}, True),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ko_KR.UTF-8"}, True),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C.UTF-8"}, False),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": ""}, True),
    ],
)
def test_the_first_variable_that_is_set_decides(environment: dict[str, str], expected: bool) -> None:
    assert is_korean(environment) is expected


@pytest.mark.parametrize(
    ("message", "korean"),
    [
        ("check the path", "경로를 확인하세요"),
        ("`auth-service user --help` shows how it is used", "사용법은 `auth-service user --help`로 확인하세요"),
        ("a message without a translation", "a message without a translation"),
        ("check the path\nand another line", "경로를 확인하세요\nand another line"),
    ],
)
def test_a_message_is_translated_line_by_line(message: str, korean: str) -> None:
    assert translate_message(message, PACKAGES, KOREAN) == korean
    assert translate_message(message, PACKAGES, {"LANG": "C.UTF-8"}) == message


def test_a_part_that_is_a_message_is_translated() -> None:
    message = "Redis at redis://127.0.0.1:6379/0 cannot be reached"
    assert translate_message(message, PACKAGES, KOREAN) == "Redis(redis://127.0.0.1:6379/0) 오류: 연결할 수 없습니다"
