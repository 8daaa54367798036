"""Host names to addresses, in threads of their own: a lookup blocks for as long as a name server likes."""

import asyncio
import socket
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

__all__ = ["SystemResolver"]

# `getaddrinfo` cannot be cancelled: a lookup that nobody answers holds its thread for tens of seconds.
_THREADS_FOR_RESERVED_HOSTS = 2
_THREADS_FOR_OTHER_HOSTS = 4


class SystemResolver:
    """Resolves names as the system does. Lookups of `reserved_hosts` never wait behind those of other hosts.

    The threads are not those that the rest of the service uses: a slow name server delays no password check.
    """

    def __init__(self, *, reserved_hosts: Collection[str] = ()) -> None:
        self._reserved_hosts = frozenset(reserved_hosts)
        self._for_reserved = ThreadPoolExecutor(_THREADS_FOR_RESERVED_HOSTS, thread_name_prefix="dns-reserved")
        self._for_others = ThreadPoolExecutor(_THREADS_FOR_OTHER_HOSTS, thread_name_prefix="dns")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Every address of the host. Raises OSError, and ValueError for what is not a host name."""
        threads = self._for_reserved if host in self._reserved_hosts else self._for_others
        lookup = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(threads, lookup)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def close(self) -> None:
        """Forgets the lookups that have not begun; one that is under way ends by itself."""
        for threads in (self._for_reserved, self._for_others):
            threads.shutdown(wait=False, cancel_futures=True)
