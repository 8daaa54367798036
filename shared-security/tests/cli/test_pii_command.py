"""`security-common pii` as a process: pipes, large files, values across lines and blocks, exit statuses."""

import json
import os
import pty
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.command_server import run_command_with_bytes
from security_common.pii import get_pii_detector
from security_common.pii.text_blocks import BLOCK_CHARS, MARGIN_CHARS, split_into_blocks

COMMAND = [sys.executable, "-c", "from security_common.cli import main; main()", "pii"]
PRIVATE_KEY = "\n".join(
    ["-----BEGIN PRIVATE KEY-----", *["MIIEvgIBADANBgkqhkiG9w0BAQEFAASC" * 2] * 24, "-----END PRIVATE KEY-----"]
)
PHONE = "010-1234-5678"


def pii(
    *arguments: str | Path, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return run_command_with_bytes(
        "security-common", "pii", *map(str, arguments), environment=environment or os.environ, given=stdin
    )


def filler(characters: int) -> str:
    rng = random.Random(7)
    words = ("shipped", "order", "확인", "server", "완료", "queue", "retry", "배송")
    lines: list[str] = []
    while characters > 0:
        lines.append(" ".join(rng.choices(words, k=12)) + "\n")
        characters -= len(lines[-1])
    return "".join(lines)


def test_scan_reports_place_and_kind_but_not_the_value() -> None:
    found = pii("scan", "-", stdin=f"첫 줄\r\n전화 {PHONE}, hong@example.com\n".encode())
    assert found.returncode == 1
    assert [line.split("\t")[:2] for line in found.stdout.decode().splitlines()] == [
        ["2:4", "PHONE"],
        ["2:19", "EMAIL"],
    ]
    assert b"1234" not in found.stdout + found.stderr


def test_json_output_is_one_object_per_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(f"a\nb {PHONE}\n")
    (line,) = pii("scan", "--json", tmp_path / "notes.txt").stdout.splitlines()
    finding = json.loads(line)
    assert (finding["line"], finding["column"], finding["length"], finding["kind"]) == (2, 3, 13, "PHONE")
    assert set(finding) == {"line", "column", "length", "kind", "score", "why"}


def test_exit_status_is_0_if_nothing_is_found() -> None:
    clean = pii("scan", "-", stdin=b"nothing here\n")
    assert (clean.returncode, clean.stdout, clean.stderr) == (0, b"", b"")
    assert pii("mask", "-").returncode == 0


def test_mask_leaves_all_other_text_unchanged(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(f"\ufeff머리\r\n{PHONE}\x00\u2028끝 no newline".encode())
    masked = pii("mask", tmp_path / "notes.txt")
    assert masked.returncode == 0
    assert masked.stdout.decode() == "\ufeff머리\r\n010-****-5678\x00\u2028끝 no newline"
    assert pii("mask", "-", stdin=masked.stdout).stdout == masked.stdout


@pytest.mark.parametrize("place", [0, BLOCK_CHARS - MARGIN_CHARS - 800, BLOCK_CHARS - 700])
def test_values_across_lines_and_blocks_are_found(place: int) -> None:
    before = filler(place)[:place].rpartition("\n")[0]
    text = f"{before}\n{PRIVATE_KEY}\n주민등록번호:\n  880101-1234568\n{filler(2**15)}"
    found = [json.loads(line) for line in pii("scan", "--json", "-", stdin=text.encode()).stdout.splitlines()]
    line = before.count("\n") + 2
    assert [(finding["line"], finding["kind"], finding["length"]) for finding in found] == [
        (line, "SECRET", len(PRIVATE_KEY)),
        (line + PRIVATE_KEY.count("\n") + 2, "KR_RRN", 14),
    ]
    masked = pii("mask", "-", stdin=text.encode()).stdout.decode()
    assert masked == text.replace(PRIVATE_KEY, "***").replace("880101-1234568", "880101-1******")


@pytest.mark.parametrize("command", ["scan", "mask"])
@pytest.mark.parametrize(
    ("content", "byte"), [("이름".encode("cp949"), 0), (b"ok \xea\xb0", 0), (b"x" * 70_000 + b"\xff", 65_536)]
)
def test_text_that_is_not_utf_8_is_refused(command: str, content: bytes, byte: int, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(content)
    for source in ("-", tmp_path / "notes.txt"):
        refused = pii(command, source, stdin=content)
        assert refused.returncode == 2
        error, hint = refused.stderr.decode().splitlines()
        assert error == f"error: {source} is not valid UTF-8 after byte {byte}"
        assert hint.startswith("hint: ")


def test_exit_status_is_2_if_the_file_cannot_be_opened(tmp_path: Path) -> None:
    for arguments in (["scan", tmp_path / "none"], ["mask", tmp_path], ["scan"], ["scan", "-", "--typo"]):
        assert pii(*arguments).returncode == 2
    assert pii("scan", tmp_path / "none").stderr.startswith(b"error: ")


def test_no_error_is_printed_if_the_reader_closes_the_pipe() -> None:
    line = f"{COMMAND[0]} -c '{COMMAND[2]}' pii mask - | head -n 1"
    quiet = subprocess.run(["sh", "-c", line], input=filler(3 * BLOCK_CHARS).encode(), capture_output=True, check=False)
    assert len(quiet.stdout.splitlines()) == 1
    assert quiet.stderr == b""


def test_output_begins_before_the_input_ends() -> None:
    first_line_received = threading.Event()
    with subprocess.Popen([*COMMAND, "mask", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def feed() -> None:
            stdin.write(f"{PHONE}\n{filler(2 * BLOCK_CHARS)}".encode())
            stdin.flush()
            first_line_received.wait()
            stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        assert stdout.readline() == b"010-****-5678\n"
        first_line_received.set()
        assert stdout.read().endswith(b"\n")
        feeder.join()


def test_progress_is_drawn_only_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_text(filler(BLOCK_CHARS))
    assert pii("scan", tmp_path / "big.txt").stderr == b""
    terminal, stderr = pty.openpty()
    with (tmp_path / "big.txt").open("rb") as file:
        assert subprocess.run([*COMMAND, "scan", "-"], stdin=file, stderr=stderr, check=False).returncode == 0
    os.close(stderr)
    drawn = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert "scanning [##" in drawn
    assert "%" in drawn
    assert drawn.endswith("\r\x1b[K"), "the bar must be removed"


PIECES = st.lists(
    st.sampled_from(
        [PHONE, "hong@example.com", "주민등록번호:\n", "880101-1234568", "\n", " ", "memo", "비밀번호 ab12cd34", "1"]
    ),
    min_size=20,
    max_size=80,
)


@given(PIECES, st.integers(1, 50))
def test_the_findings_of_the_blocks_are_those_of_the_whole_text(pieces: list[str], size: int) -> None:
    scan = get_pii_detector().scan_text
    text = " ".join(pieces)
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    blocks = list(split_into_blocks(chunks, scan, block_chars=300, margin_chars=60))
    assert "".join(blocks) == text
    found: list[tuple[str, int, int]] = []
    start = 0
    for block in blocks:
        found += [(finding.kind, start + finding.start, start + finding.end) for finding in scan(block)]
        start += len(block)
    assert found == [(finding.kind, finding.start, finding.end) for finding in scan(text)]


def test_table_headings_apply_to_the_end_of_a_large_file(tmp_path: Path) -> None:
    rows = [f"{number},302-4002-{number % 10_000:04}-91\n" for number in range(BLOCK_CHARS // 20)]
    table = tmp_path / "table.csv"
    table.write_text("주문,계좌\n" + "".join(rows), encoding="utf-8")
    assert table.stat().st_size > BLOCK_CHARS
    found = pii("scan", table).stdout.decode().splitlines()
    assert [line.split("\t")[:2] for line in found] == [
        [f"{number + 2}:{len(str(number)) + 2}", "BANK_ACCOUNT"] for number in range(len(rows))
    ]
    masked = pii("mask", table).stdout.decode().splitlines()
    assert masked[0] == "주문,계좌"
    assert len(masked) == len(rows) + 1
    assert "302" not in masked[-1]


def test_personal_data_in_the_headings_is_reported_and_masked_once(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"이름,전화,{PHONE}\n{filler(2 * BLOCK_CHARS)}", encoding="utf-8")
    assert pii("scan", table).stdout.decode().splitlines() == ["1:7\tPHONE\t0.93\tarea-code"]
    masked = pii("mask", table).stdout.decode()
    assert masked == table.read_text(encoding="utf-8").replace(PHONE, "010-****-5678")


def test_memory_use_is_limited_to_one_block() -> None:
    produced = 0

    def endless() -> Iterator[str]:
        nonlocal produced
        while True:
            produced += 1000
            yield "9" * 1000

    consumed = 0
    for block in split_into_blocks(endless(), get_pii_detector().scan_text, block_chars=10_000, margin_chars=1000):
        consumed += len(block)
        assert produced - consumed <= 10_000
        if consumed > 100_000:
            break
