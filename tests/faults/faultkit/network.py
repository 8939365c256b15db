"""A network that can be slow, cut and torn: a TCP proxy in a thread of its own.

To cut is to let nothing pass in either direction while both ends believe that they are connected, as a broken line
does; to tear is to end all connections, as a firewall or a restarted router does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_BLOCK = 64 * 1024


class Network:
    """Everything between those who connect to `port` and the server at `target`, both on this machine."""

    def __init__(self, target: int) -> None:
        self.port = 0
        #: Seconds that each block of data is late, and bytes per second (0: as fast as can be).
        self.delay = 0.0
        self.rate = 0.0
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True, name="network")
        self._thread.start()
        started.wait()

    @property
    def url(self) -> str:
        """Where to connect to."""
        return f"redis://127.0.0.1:{self.port}/0"

    def cut(self) -> None:
        """Let nothing pass."""
        self._call(self._open.clear)

    def mend(self) -> None:
        """Let all pass, also what was sent meanwhile."""
        self._call(self._open.set)

    def tear(self) -> None:
        """End all connections; new ones can be made at once."""
        self._call(self._abort)

    def close(self) -> None:
        """End all connections, and the thread."""
        if self._thread.is_alive():
            self._call(self._loop.stop)
            self._thread.join()

    def _call(self, function: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)

    # What follows runs in the thread.

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._open.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        server.close()
        self._abort()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            # Where nothing passes, not even a connection is made.
            await self._open.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(far_writer)
            await self._both(self._pump(reader, far_writer), self._pump(far_reader, writer))
            self._end(far_writer)
        self._end(writer)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        self._writers.discard(writer)

    async def _both(self, *pumps: Coroutine[Any, Any, None]) -> None:
        """Pump in both directions until one of them ends."""
        tasks = {asyncio.create_task(pump) for pump in pumps}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_BLOCK):
                await self._open.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self.rate:
                    await asyncio.sleep(len(data) / self.rate)
                writer.write(data)
                await writer.drain()
