"""A JSON document in Redis that is changed as a whole, without losing a change that another request makes meanwhile."""

from collections.abc import Callable
from typing import TypeVar, cast

from pydantic import TypeAdapter
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

__all__ = ["change_document"]

Document = TypeVar("Document")


async def change_document(
    redis: Redis, key: str, adapter: TypeAdapter[Document], change: Callable[[Document], Document | None]
) -> Document | None:
    """The changed document; None, without any change, if there is none or `change` returned None.

    `change` is applied to the stored document, again if another change came first. Raises `RedisError`.
    """

    async def store_changed(pipe: Pipeline) -> Document | None:
        document = await pipe.get(key)
        pipe.multi()
        changed = change(adapter.validate_json(document)) if document else None
        if changed is not None:
            pipe.set(key, adapter.dump_json(changed))
        return changed

    return cast("Document | None", await redis.transaction(store_changed, key, value_from_callable=True))
