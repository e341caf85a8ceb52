"""HTTP/1.1 as a client that sends what it likes: no library puts it right."""

import asyncio
import json
from dataclasses import dataclass, field

SECONDS = 20
LIMIT = 1 << 20


class Cut(Exception):
    """The connection ended in the middle of an answer, or without one."""


@dataclass
class Answer:
    status: int
    headers: list = field(default_factory=list)
    body: bytes = b""

    def all(self, name):
        return [value for key, value in self.headers if key == name]

    def one(self, name):
        values = self.all(name)
        return values[0] if len(values) == 1 else None

    def json(self):
        return json.loads(self.body)


def written(method, target, headers, body=b""):
    """A request. Texts are as they are, in Latin-1."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Connection:
    """A connection, for one request after the other."""

    @classmethod
    async def open(cls, address, tls=None, name=None):
        connection = cls()
        async with asyncio.timeout(SECONDS):
            connection.reader, connection.writer = await asyncio.open_connection(
                *address, limit=LIMIT, ssl=tls, server_hostname=name if tls else None
            )
        return connection

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.close()

    def close(self):
        self.writer.transport.abort()

    async def send(self, data):
        self.writer.write(data)
        async with asyncio.timeout(SECONDS):
            await self.writer.drain()

    async def ask(self, data):
        self.writer.write(data)
        return await self.answer()

    async def answer(self):
        async with asyncio.timeout(SECONDS):
            answer = await self.head()
            if answer.status not in (204, 304) and answer.status >= 200:
                answer.body = b"".join([piece async for piece in self.pieces(answer)])
            return answer

    async def head(self):
        try:
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, OSError) as end:
            raise Cut from end
        first, *lines = text[:-4].split("\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return Answer(int(first.split(" ")[1]), headers)

    async def pieces(self, answer):
        """The body, as it comes."""
        try:
            if "chunked" in (answer.one("transfer-encoding") or ""):
                while size := int(await self.reader.readuntil(b"\r\n"), 16):
                    yield (await self.reader.readexactly(size + 2))[:-2]
                await self.reader.readuntil(b"\r\n")
            elif length := answer.one("content-length"):
                yield await self.reader.readexactly(int(length))
            else:
                yield await self.reader.read()
        except (asyncio.IncompleteReadError, OSError) as end:
            raise Cut from end
