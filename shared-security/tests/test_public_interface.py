"""The public names of the library in a script of its own, with a key file and no other set-up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import security_common

SCRIPT = """
import asyncio

from security_common import get_encryption_service, get_pii_detector, secure_tool

text = "고객 정보: 홍길동님 (hong@example.com, 010-1234-5678)"
detector = get_pii_detector()
print([(found.kind.value, text[found.start : found.end]) for found in detector.scan_text(text)])
print(detector.mask_pii(text))
print(detector.mask_text(text))

service = get_encryption_service()
print(service.decrypt(service.encrypt("고객 이메일: customer@company.com")))


@secure_tool(requires_encryption=True, log_access=True, pii_policy="encrypt")
async def process_customer_data(customer_info: str, client_id: str, user_id: str):
    return {"status": "processed", "stored": customer_info}


@secure_tool(pii_policy="mask")
def show_customer_data(customer_info: str, client_id: str, user_id: str):
    return customer_info


async def main():
    result = await process_customer_data(text, client_id="mcp-client", user_id="user-1")
    print(result["status"], result["stored"][:7])
    return await process_customer_data(customer_info=text, client_id="mcp-client", user_id="user-1")


asyncio.run(main())
asyncio.run(main())
print(show_customer_data(text, client_id="mcp-client", user_id="user-1"))
"""


def python(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SECURITY_")}
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=inherited | environment | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )


def test_the_snippets_run_with_only_a_key_file(tmp_path: Path) -> None:
    made = python("-c", "from security_common.cli import main; main()", "keys", "generate", "key.json", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    ran = python("-c", SCRIPT, folder=tmp_path, SECURITY_ENCRYPTION_KEY_FILE="key.json")
    assert ran.returncode == 0, ran.stderr
    masked = "고객 정보: 홍*동님 (h***@example.com, 010-****-5678)"
    assert ran.stdout.splitlines() == [
        "[('PERSON', '홍길동'), ('EMAIL', 'hong@example.com'), ('PHONE', '010-1234-5678')]",
        masked,
        masked,
        "고객 이메일: customer@company.com",
        "processed enc:v1:",
        "processed enc:v1:",
        masked,
    ]
    assert "Traceback" not in ran.stderr
    (journal,) = (tmp_path / "logs" / "audit").glob("*/0/security_audit.log")
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [event["action_taken"] for event in events if event["event_type"] == "tool_call"] == [
        *["executed_with_encryption"] * 4,
        "executed_with_masking",
    ]
    assert "hong@" not in journal.read_text()


def test_without_a_key_the_error_names_the_command_that_makes_one(tmp_path: Path) -> None:
    script = "import security_common; security_common.get_encryption_service()"
    failed = python("-c", script, folder=tmp_path)
    assert "EncryptionKeyMissing" in failed.stderr
    assert "security-common keys generate" in failed.stderr


def test_public_names_are_importable_and_load_only_their_package(tmp_path: Path) -> None:
    for name in security_common.__all__:
        assert getattr(security_common, name).__module__.startswith("security_common.")
    script = "import sys, security_common.pii; print('redis' in sys.modules, 'cryptography' in sys.modules)"
    assert python("-c", script, folder=tmp_path).stdout.split() == ["False", "False"]
