"""A plain HTTP service behind the gateways. It knows nothing of tokens, and says what it was sent.

What it does is the last part of the path: `digest` of the body, `pieces` as it is told to, `status/CODE`, or else an echo.
"""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field


@dataclass
class Seen:
    """A request as it came."""

    method: str
    target: str
    headers: list
    # Pieces of its body, where somebody waits for them; None at its end.
    pieces: asyncio.Queue = field(default_factory=asyncio.Queue)
    # What `pieces` is to send; None at the end.
    to_send: asyncio.Queue = field(default_factory=asyncio.Queue)
    # Whether its connection is gone.
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def all(self, name):
        return [value for key, value in self.headers if key == name]


class HttpService:
    async def start(self):
        self.marked = {}
        self.arrivals = {}
        self.total = 0
        self.connections = set()
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=1 << 20)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self):
        self.server.close()
        for task in self.connections:
            task.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)

    def seen(self, mark):
        """The requests with this `x-mark`."""
        return self.marked.get(mark, [])

    async def arrival(self, mark):
        """The first request with this `x-mark`, once it is there."""
        if not self.seen(mark):
            await self.arrivals.setdefault(mark, asyncio.Event()).wait()
        return self.seen(mark)[0]

    async def _connected(self, reader, writer):
        task = asyncio.current_task()
        self.connections.add(task)
        request = None
        try:
            while True:
                request = await self._head(reader)
                await self._serve(request, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            if request:
                request.gone.set()
            self.connections.discard(task)
            writer.transport.abort()

    async def _head(self, reader):
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text[:-4].split("\r\n")
        method, target, _ = first.split(" ", 2) if first.count(" ") == 2 else (first.split(" ")[0], first, "")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        request = Seen(method, target, headers)
        self.total += 1
        for mark in request.all("x-mark"):
            self.marked.setdefault(mark, []).append(request)
            if mark in self.arrivals:
                self.arrivals.pop(mark).set()
        return request

    async def _serve(self, request, reader, writer):
        what = request.target.partition("?")[0].rsplit("/", 1)[-1]
        if request.all("upgrade"):
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
            while data := await reader.read(65536):
                writer.write(data)
            raise ConnectionError
        if what == "pieces":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n")
            await writer.drain()
            # Its body, and then its end.
            rest = asyncio.create_task(self._rest(request, reader))
            while True:
                told = asyncio.create_task(request.to_send.get())
                done, _ = await asyncio.wait({told, rest}, return_when=asyncio.FIRST_COMPLETED)
                if told not in done:
                    told.cancel()
                    raise ConnectionError
                piece = told.result()
                writer.write(b"%x\r\n%s\r\n" % (len(piece or b""), piece or b""))
                await writer.drain()
                if piece is None:
                    rest.cancel()
                    raise ConnectionError
        digest, length = await self._body(request, reader)
        status, body = 200, {"method": request.method, "target": request.target, "headers": request.headers}
        if what == "digest":
            body = {"sha256": digest, "length": length}
        elif what == "500":
            status, body = 500, {"said": "by the service itself"}
        data = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)

    async def _rest(self, request, reader):
        try:
            await self._body(request, reader)
            await reader.read(1)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    async def _body(self, request, reader):
        """Takes the body piece by piece: its SHA-256, and how long it is."""
        digest, length = hashlib.sha256(), 0
        async for piece in self._pieces(request, reader):
            digest.update(piece)
            length += len(piece)
            if request.target.endswith("?watched"):
                request.pieces.put_nowait(piece)
        request.pieces.put_nowait(None)
        return digest.hexdigest(), length

    async def _pieces(self, request, reader):
        if any("chunked" in value for value in request.all("transfer-encoding")):
            while size := int(await reader.readuntil(b"\r\n"), 16):
                yield (await reader.readexactly(size + 2))[:-2]
            await reader.readuntil(b"\r\n")
        else:
            left = int((request.all("content-length") or ["0"])[0])
            while left:
                piece = await reader.read(min(left, 262144))
                if not piece:
                    raise ConnectionError
                left -= len(piece)
                yield piece
