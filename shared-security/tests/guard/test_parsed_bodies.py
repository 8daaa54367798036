"""Bodies that the guard parses: large ones beside the event loop, and none with too many values."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from security_common.guard.called_tools import LARGE_BODY_BYTES, MAX_VALUES, parse_body
from security_common.guard.refusals import InvalidJsonRpcMessage
from security_common.strict_json import WrittenNumber

pytestmark = pytest.mark.anyio


class CountingExecutor(ThreadPoolExecutor):
    """Counts what it was asked to do."""

    tasks = 0

    def submit(self, *arguments, **options):
        self.tasks += 1
        return super().submit(*arguments, **options)


async def test_a_large_body_is_parsed_beside_the_event_loop():
    executor = CountingExecutor(1)
    asyncio.get_running_loop().set_default_executor(executor)
    assert await parse_body(b'{"a":1.10}', keeps_spelling=False) == {"a": 1.1}
    assert executor.tasks == 0
    large = b'{"a":["' + b"x" * LARGE_BODY_BYTES + b'",1.10]}'
    assert (await parse_body(large, keeps_spelling=True))["a"][1] == WrittenNumber("1.10", 1.1)
    assert executor.tasks == 1
    with pytest.raises(InvalidJsonRpcMessage):
        await parse_body(b"[" + b"1," * MAX_VALUES + b"1]", keeps_spelling=False)
