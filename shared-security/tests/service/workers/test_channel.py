"""The channel between a supervisor and a worker."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from security_common.service.workers.channel import Channel, ChannelClosed
from security_common.task_cancellation import cancel_tasks

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Channel, Channel]]:
    """Both ends. Each answers with the question in capitals; `wait` is not answered, and `fail` raises an error."""

    async def answer(question: str) -> str:
        if question == "wait":
            await asyncio.Event().wait()
        if question == "fail":
            raise ValueError(question)
        return question.upper()

    channels = [await Channel.open(end, answer) for end in socket.socketpair()]
    running = [asyncio.create_task(channel.run()) for channel in channels]
    yield channels[0], channels[1]
    await cancel_tasks(*running)


async def test_both_ends_ask_at_the_same_time(ends):
    questions = [f"question {number}" for number in range(50)]
    answers = await asyncio.gather(*(end.ask(question) for question in questions for end in ends))
    assert answers == [question.upper() for question in questions for _ in ends]


async def test_a_long_answer_arrives(ends):
    long = "metric 1\n" * 500_000
    assert await ends[0].ask(long) == long.upper()


@pytest.mark.parametrize("unanswered", ["wait", "fail"])
async def test_a_question_without_an_answer_does_not_delay_the_next_one(ends, unanswered):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await ends[0].ask(unanswered)
    assert await ends[0].ask("next") == "NEXT"


async def test_a_question_fails_when_the_other_end_closes(ends):
    asking = asyncio.create_task(ends[0].ask("wait"))
    await ends[0].ask("first")
    ends[1]._writer.close()
    with pytest.raises(ChannelClosed):
        await asking
    with pytest.raises(ChannelClosed):
        await ends[0].ask("late")
