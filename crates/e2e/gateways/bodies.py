"""Bodies: long ones, and those that come bit by bit, in both directions."""

import asyncio
import hashlib
import random

from checks import equal, expect
from http_client import Cut, written
from secrets_of_a_run import HOST
from stage import new_mark

LENGTH = 50 << 20
PIECE = 1 << 18


def pieces():
    """50 MiB that nobody can guess or compress, the same in each run."""
    numbers = random.Random(6)
    return [numbers.randbytes(PIECE) for _ in range(LENGTH // PIECE)]


async def long_uploads(stage):
    path, token = stage.a_path()
    body = pieces()
    digest = hashlib.sha256(b"".join(body)).hexdigest()
    lengths = [("content-length", str(LENGTH))], [("transfer-encoding", "chunked")]
    for length in lengths:
        chunked = length[0][0] == "transfer-encoding"
        async with await stage.front.connect() as connection:
            await connection.send(written("POST", f"{path}/digest", [("host", HOST), token.bearer, *length]))
            for piece in body:
                await connection.send(chunk(piece) if chunked else piece)
            if chunked:
                await connection.send(b"0\r\n\r\n")
            answer = await connection.answer()
        equal((answer.status, answer.json()), (200, {"sha256": digest, "length": LENGTH}), f"an upload by {length}")


async def refused_uploads(stage):
    """They are refused without their body."""
    path, _ = stage.a_path()
    for headers in [[], [("authorization", "Bearer x")], [("expect", "100-continue")]]:
        mark = new_mark()
        async with await stage.front.connect() as connection:
            said = [("host", HOST), ("content-length", str(LENGTH)), ("x-mark", mark), *headers]
            await connection.send(written("POST", f"{path}/digest", said))
            answer = await connection.head()
            # Some gateways say themselves that they wait for the body.
            if answer.status == 100:
                answer = await connection.head()
            equal(answer.status, 401, str([name for name, _ in headers]))
        equal(stage.http.seen(mark), [], "what reached the service")


async def uploads_bit_by_bit(stage):
    """The service has each piece before the next one is sent."""
    path, token = stage.a_path()
    for length in [("transfer-encoding", "chunked")], [("content-length", "9")]:
        mark = new_mark()
        headers = [("host", HOST), token.bearer, *length, ("x-mark", mark)]
        async with await stage.front.connect() as connection:
            await connection.send(written("POST", f"{path}/digest?watched", headers))
            for piece in [b"one", b"two", b"six"]:
                await connection.send(chunk(piece) if length[0][1] == "chunked" else piece)
                seen = await stage.http.arrival(mark)
                equal(await seen.pieces.get(), piece, "what the service has")
            if length[0][1] == "chunked":
                await connection.send(b"0\r\n\r\n")
            equal((await connection.answer()).json()["length"], 9, "the upload")


async def answers_bit_by_bit(stage):
    """The client has each piece before the next one is sent, also while it is sending itself."""
    path, token = stage.a_path()
    for sends in [False, True]:
        mark = new_mark()
        headers = [("host", HOST), token.bearer, ("x-mark", mark)]
        if sends:
            headers.append(("transfer-encoding", "chunked"))
        async with await stage.front.connect() as connection:
            await connection.send(written("POST" if sends else "GET", f"{path}/pieces?watched", headers))
            seen = await stage.http.arrival(mark)
            answer = await connection.head()
            equal(answer.status, 200, "the answer")
            got = connection.pieces(answer)
            for piece in [b"one", b"two", b"three"]:
                if sends:
                    await connection.send(chunk(piece))
                    equal(await seen.pieces.get(), piece, "what the service has")
                seen.to_send.put_nowait(piece)
                equal(await anext(got), piece, "what the client has")
            seen.to_send.put_nowait(None)


async def web_sockets(stage):
    for kind, path, token, other in stage.rules():
        if kind == "realtime" or len(stage.front.http_rules) == 1:
            mark = new_mark()
            upgrade = [("host", HOST), ("connection", "Upgrade"), ("upgrade", "websocket"), ("x-mark", mark)]
            upgrade += [("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("sec-websocket-version", "13")]
            for headers, status in [([], 401), ([other.bearer], 403), ([token.bearer], 101)]:
                async with await stage.front.connect() as connection:
                    await connection.send(written("GET", f"{path}/socket", [*upgrade, *headers]))
                    equal((await connection.head()).status, status, "the answer")
                    if status == 101:
                        for frame in [b"\x81\x01a", b"\x81\x01b"]:
                            await connection.send(frame)
                            equal(await connection.reader.readexactly(3), frame, "a frame")
            equal(len(stage.http.seen(mark)), 1, "how often the service was asked")


async def web_sockets_end(stage):
    for kind, path, _, _ in stage.rules():
        if kind == "realtime" or len(stage.front.http_rules) == 1:
            token = await stage.gatekey.create(kind)
            upgrade = [token.bearer, ("connection", "Upgrade"), ("upgrade", "websocket")]
            begin = asyncio.get_running_loop().time()
            async with await stage.front.connect() as connection:
                await connection.send(written("GET", f"{path}/socket", [("host", HOST), *upgrade]))
                equal((await connection.head()).status, 101, "the answer")
                await stage.gatekey.delete(token)
                equal((await stage.refused(f"{path}/socket", upgrade)).status, 401, "a new one")
                try:
                    equal(await connection.reader.read(1), b"", "the end")
                except ConnectionError:
                    pass
            lasted(stage.front, asyncio.get_running_loop().time() - begin)


async def streams_end(stage):
    """A stream whose token is deleted goes on until it has lasted as long as streams may; new ones are refused at once."""
    for kind, path, _, _ in stage.rules():
        if kind == "realtime" or len(stage.front.http_rules) == 1:
            token = await stage.gatekey.create(kind)
            mark = new_mark()
            begin = asyncio.get_running_loop().time()
            async with await stage.front.connect() as connection:
                await connection.send(written("GET", f"{path}/pieces", [("host", HOST), token.bearer, ("x-mark", mark)]))
                seen = await stage.http.arrival(mark)
                got = connection.pieces(await connection.head())
                await stage.gatekey.delete(token)
                equal((await stage.refused(f"{path}/echo", [token.bearer])).status, 401, "a new request")
                seen.to_send.put_nowait(b"after the delete")
                equal(await anext(got), b"after the delete", "what goes on")
                # Some gateways end it only when something more is said.
                saying = asyncio.create_task(speak(seen.to_send))
                try:
                    async for _ in got:
                        pass
                    raise AssertionError("the stream ended as if it were complete")
                except Cut:
                    pass
                finally:
                    saying.cancel()
                await seen.gone.wait()
            lasted(stage.front, asyncio.get_running_loop().time() - begin)


async def speak(to_send):
    while True:
        to_send.put_nowait(b"more")
        await asyncio.sleep(0.1)


def lasted(front, seconds):
    expect(front.max_stream - 0.1 <= seconds <= front.max_stream + 3, f"it ended after {seconds:.1f} s")


def chunk(piece):
    return b"%x\r\n%s\r\n" % (len(piece), piece)
