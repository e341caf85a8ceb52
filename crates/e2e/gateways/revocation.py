"""Revocation while requests run: whatever begins after a delete was answered is refused, on every connection."""

import asyncio
import time

import grpc
from checks import equal, expect
from http_client import written
from secrets_of_a_run import HOST

WORKERS = 8
CONNECTIONS = 3
# Of each connection: before the delete is sent, and after it was answered.
BEFORE, AFTER = 2, 2
SECONDS = 80


async def no_stale_accept(stage, deletes):
    """Workers that create a token, use it on several connections without a pause, and delete it meanwhile."""
    counts = {"before": 0, "meanwhile": 0, "after": 0, "deletes": 0}
    begin = time.monotonic()
    left = iter(range(deletes))
    ways = []
    for kind, path, _, _ in stage.rules():
        ways += [(kind, Http(stage.front, path)) for kind in ({"any": ["batch", "realtime"]}.get(kind) or [kind])]
    ways += [(kind, Grpc(stage.front, service)) for kind, service, _, _ in stage.grpc_rules()]
    async with asyncio.TaskGroup() as group:
        for number in range(WORKERS):
            group.create_task(work(stage, left, ways[number % len(ways) :] + ways[: number % len(ways)], counts))
    equal(counts["deletes"], deletes, "deletes")
    for when in ["before", "after"]:
        least = deletes * CONNECTIONS * {"before": BEFORE, "after": AFTER}[when]
        expect(counts[when] >= least, f"{when} the delete there were {counts[when]} requests, not {least}")
    seconds = time.monotonic() - begin
    print(
        f"   {stage.front.name}: {deletes} deletes in {seconds:.1f} s: {counts['before']} accepted before,"
        f" {counts['meanwhile']} meanwhile, {counts['after']} refused after, 0 accepted after",
        flush=True,
    )


class Http:
    """Requests on a connection that is kept."""

    def __init__(self, front, path):
        self.front = front
        self.target = f"{path}/echo"

    async def open(self):
        return await self.front.connect()

    def request(self, connection, token):
        data = written("GET", self.target, [("host", HOST), token.bearer])

        async def accepted():
            status = (await connection.ask(data)).status
            expect(status in (200, 401), f"a request was answered {status}")
            return status == 200

        return accepted

    async def close(self, connection):
        connection.close()


class Grpc:
    """Calls on a channel of their own."""

    def __init__(self, front, service):
        self.front = front
        self.method = f"/{service}/Describe"

    async def open(self):
        return self.front.channel()

    def request(self, channel, token):
        call = channel.unary_unary(self.method)

        async def accepted():
            try:
                await call(b"?", metadata=[token.bearer], timeout=15)
                return True
            except grpc.aio.AioRpcError as error:
                expect(error.code() == grpc.StatusCode.UNAUTHENTICATED, f"a call ended with {error.code()}: {error.details()}")
                return False

        return accepted

    async def close(self, channel):
        await channel.close()


async def work(stage, left, ways, counts):
    """One token after the other, on connections that are kept."""
    management = await stage.gatekey.connect()
    opened = [(kind, way, [await way.open() for _ in range(CONNECTIONS)]) for kind, way in ways]
    try:
        for turn, _ in enumerate(left):
            kind, way, connections = opened[turn % len(opened)]
            token = await stage.gatekey.create(kind, connection=management)
            uses = [Use(way.request(connection, token)) for connection in connections]
            async with asyncio.TaskGroup() as group:
                for use in uses:
                    group.create_task(use.repeat())
                await asyncio.gather(*(use.used.wait() for use in uses))
                sent = time.monotonic()
                await stage.gatekey.delete(token, connection=management)
                deleted = time.monotonic()
                for use in uses:
                    use.deleted = deleted
            counts["deletes"] += 1
            for use in uses:
                for begun, ended, accepted in use.requests:
                    if begun > deleted:
                        expect(not accepted, f"accepted {(begun - deleted) * 1000:.1f} ms after the delete was answered")
                        counts["after"] += 1
                    elif ended < sent:
                        expect(accepted, "refused before the delete was sent")
                        counts["before"] += 1
                    else:
                        counts["meanwhile"] += 1
    finally:
        management.close()
        for _, way, connections in opened:
            for connection in connections:
                await way.close(connection)


class Use:
    """Requests with a token, one after the other, until enough of them began after its delete was answered."""

    def __init__(self, request):
        self.request = request
        self.requests = []
        self.used = asyncio.Event()
        self.deleted = None

    async def repeat(self):
        after = 0
        while after < AFTER:
            begun = time.monotonic()
            accepted = await self.request()
            self.requests.append((begun, time.monotonic(), accepted))
            if len(self.requests) == BEFORE:
                self.used.set()
            after += self.deleted is not None and begun > self.deleted
