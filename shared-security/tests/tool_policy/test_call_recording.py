"""What `secure_tool` records of a call, and what happens if it cannot be recorded."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from security_common.audit import AuditEvent, Journal, JournalUnavailable, Outcome
from security_common.tool_policy import PersonalDataRefused, annotate_audit_event, configure, secure_tool
from security_common.tool_policy.pseudonyms import KeyedPseudonyms

RecordedCalls = Callable[[], list[dict[str, Any]]]


def test_with_an_unwritable_journal_the_tool_does_not_run(close_journal: Callable[[], None]) -> None:
    ran: list[int] = []

    @secure_tool()
    def work() -> None:
        ran.append(1)

    close_journal()
    with pytest.raises(JournalUnavailable):
        work()
    assert not ran


def test_a_result_is_withheld_if_the_call_cannot_be_recorded(close_journal: Callable[[], None]) -> None:
    @secure_tool()
    async def work() -> str:
        close_journal()
        return "done"

    with pytest.raises(JournalUnavailable):
        asyncio.run(work())


def test_a_cancelled_call_is_recorded(journal: Journal, recorded_calls: RecordedCalls) -> None:
    marker = AuditEvent(event_type="marker", action_taken="none", outcome=Outcome.SUCCESS)

    async def cancel_a_call() -> None:
        begun = asyncio.Event()

        @secure_tool()
        async def work() -> None:
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await journal.record(marker)  # the cancelled call was handed in first and is therefore written first

    asyncio.run(cancel_a_call())
    assert (recorded_calls()[0]["outcome"], recorded_calls()[0]["reason"]) == ("failure", "cancelled")


def test_log_access_false_still_records_personal_data_and_refusals(recorded_calls: RecordedCalls) -> None:
    @secure_tool(pii_policy="observe", log_access=False)
    def echo(text: str) -> str:
        return text

    @secure_tool(pii_policy="reject", log_access=False)
    def refuse(text: str) -> str:
        return text

    echo("no personal data")
    assert recorded_calls() == []
    echo("hong@example.com")
    with pytest.raises(PersonalDataRefused):
        refuse("hong@example.com")
    assert [event["outcome"] for event in recorded_calls()] == ["success", "refused"]


def test_a_tool_adds_data_subject_and_task_to_its_event(
    journal: Journal, recorded_calls: RecordedCalls, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("k" * 30 + "0123456789abc")
    pseudonyms = KeyedPseudonyms(tmp_path / "key")
    configure(journal=journal, pseudonyms=pseudonyms)

    @secure_tool()
    def view() -> None:
        annotate_audit_event(data_subject="p_1", task="view")

    view()
    assert (recorded_calls()[0]["subject_reference"], recorded_calls()[0]["task"]) == (
        pseudonyms.reference("p_1"),
        "view",
    )


def test_the_pseudonym_key_is_read_from_the_settings(
    journal: Journal, recorded_calls: RecordedCalls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("k" * 30 + "0123456789abc")
    monkeypatch.setenv("SECURITY_PSEUDONYM_KEY_FILE", str(tmp_path / "key"))
    configure(journal=journal)

    @secure_tool()
    def view(who: str) -> None:
        annotate_audit_event(data_subject=who, task="view")

    for who in ("p_1", "p_1", "p_2"):
        view(who)
    first, again, other = [event["subject_reference"] for event in recorded_calls()]
    assert first == again != other
    assert "p_1" not in str(recorded_calls())
