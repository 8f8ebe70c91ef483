"""A TCP proxy before a store: what passes may be delayed, held up, cut off, or sent to another server. One thread serves all proxies of a process."""

import asyncio
import threading

CHUNK = 65536


class Proxy:
    """Listens on 127.0.0.1:port and passes to 127.0.0.1:target. Methods may be called from any thread; they return when they are in force."""

    _loop, _lock = None, threading.Lock()

    def __init__(self, port, target):
        self.port, self.target, self.passed = port, target, 0
        self._links, self._delay_s, self._refuses = set(), 0.0, False
        with Proxy._lock:
            if Proxy._loop is None:
                Proxy._loop = asyncio.new_event_loop()
                threading.Thread(target=Proxy._loop.run_forever, name="proxy", daemon=True).start()
        self._do(self._open())

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, Proxy._loop).result(timeout=20)

    async def _open(self):
        self._flows = {"up": asyncio.Event(), "down": asyncio.Event()}
        for flow in self._flows.values():
            flow.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=512)

    # ---- what a test orders ----

    def delay(self, seconds):
        """Every piece waits this long, in each direction; pieces behind it wait with it."""
        self._delay_s = seconds

    def hold(self, *directions):
        """A partition: connections stay, nothing arrives. "up": to the server; "down": from it; both by default."""

        async def work():
            for direction in directions or ("up", "down"):
                self._flows[direction].clear()

        self._do(work())

    def cut(self, refuse=False):
        """Ends all connections at once; refuse: new ones end too, until heal()."""

        async def work():
            self._refuses = refuse
            for writer in list(self._links):
                writer.transport.abort()

        self._do(work())

    def switch(self, target):
        """Another server from now on, also for those who were connected: their connections end."""
        self.target = target
        self.cut()

    def heal(self):
        async def work():
            self._delay_s, self._refuses = 0.0, False
            for flow in self._flows.values():
                flow.set()

        self._do(work())

    def close(self):
        async def work():
            self._server.close()
            for writer in list(self._links):
                writer.transport.abort()

        self._do(work())

    @property
    def connections(self):
        return len(self._links) // 2

    # ---- a connection ----

    async def _serve(self, reader, writer):
        if self._refuses:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._links |= ends
        try:
            pumps = [asyncio.create_task(self._pump(reader, far_writer, "up")), asyncio.create_task(self._pump(far_reader, writer, "down"))]
            # Whoever ends a connection ends it for both.
            _, pending = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pending:
                pump.cancel()
        finally:
            self._links -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader, writer, direction):
        try:
            while piece := await reader.read(CHUNK):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._flows[direction].wait()
                writer.write(piece)
                await writer.drain()
                self.passed += len(piece)
            writer.write_eof()
        except OSError:
            pass
