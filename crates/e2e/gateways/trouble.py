"""Gatekey can't be asked, does not answer, or does not know the gateway: 503, never a 401, never a pass."""

import asyncio
import signal

import grpc
from checks import equal, expect

RECOVERY_SECONDS = 20
# A gateway waits for Gatekey for a second, and some ask twice.
ANSWER_SECONDS = 5
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def killed(stage):
    async with stage.front.channel() as channel:
        stream = await open_stream(stage, channel)
        await stage.gatekey.stop(signal.SIGKILL)
        await nobody_can_tell(stage, channel)
        if stream:
            await stream.write(b"still")
            equal(await stream.read(), b"still", "a stream that was open before")
            stream.cancel()
        await stage.gatekey.start(*stage.front.proof())
        await recovers(stage, channel)


async def stopped(stage):
    """It takes connections and questions, and answers none."""
    async with stage.front.channel() as channel:
        stage.gatekey.program.send(signal.SIGSTOP)
        try:
            await nobody_can_tell(stage, channel)
        finally:
            stage.gatekey.program.send(signal.SIGCONT)
        await recovers(stage, channel)


async def gateway_not_known(stage):
    """A gateway that can't prove itself gets no answers, good or bad; one that can, does again without a restart of it."""
    developer = stage.gatekey.developer
    async with stage.front.channel() as channel:
        if another := stage.front.arguments_of_another(stage.front.certificate):
            # Somebody else's address or certificate.
            for arguments in another:
                await stage.gatekey.stop()
                await stage.gatekey.start(*arguments)
                await is_not_known(stage, channel)
                await nobody_can_tell(stage, channel, known=False)
            await stage.gatekey.stop()
            await stage.gatekey.start(*stage.front.proof())
            await recovers(stage, channel)
        else:
            for jwt in ["x", developer]:
                await stage.front.prove_by(jwt)
                await is_not_known(stage, channel)
                await nobody_can_tell(stage, channel, known=False)
                await stage.front.prove_by(stage.front.good_jwt())
                await recovers(stage, channel)


async def open_stream(stage, channel):
    for kind, service, token, _ in stage.grpc_rules():
        if kind == "realtime" and stage.front.max_stream is None:
            call = channel.stream_stream(f"/{service}/Transcribe")(metadata=[token.bearer])
            await call.write(b"open")
            equal(await call.read(), b"open", "the stream")
            return call
    return None


async def nobody_can_tell(stage, channel, known=True):
    """All that ask at once are told so soon, whatever they bring. Of a gateway that is not known, Gatekey reads no question: then
    it does not know in whose words to answer."""

    async def over_http(path, headers):
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await stage.refused(f"{path}/echo", headers)
        equal((answer.status, answer.all("retry-after")), (503, ["1"]), f"{path} with {len(headers)} headers")
        equal(answer.all("www-authenticate"), [], "challenges")
        if known or not stage.front.asks_by_grpc:
            equal(answer.one("content-type"), "application/json", "content-type")
            expect(answer.json()["message"], "no message")
        else:
            equal(answer.one("content-type"), "text/plain", "content-type")

    async def over_grpc(service, headers):
        error = await stage.grpc_refused(channel, service, headers, timeout=ANSWER_SECONDS)
        equal(error.code(), UNAVAILABLE, f"{service} with {len(headers)} headers")
        expect("API token" in error.details() and "{" not in error.details(), f"the message is {error.details()}")

    bad = ("authorization", "Bearer x")
    async with asyncio.TaskGroup() as group:
        for _, path, token, other in stage.rules():
            for headers in [[token.bearer], [token.bearer], [], [bad], [other.bearer] if other else []]:
                group.create_task(over_http(path, headers))
        for _, service, token, other in stage.grpc_rules():
            for headers in [[token.bearer], [token.bearer], [], [bad], [other.bearer]]:
                group.create_task(over_grpc(service, headers))
    # What asks for nothing is open.
    if stage.front.http_rules:
        equal((await stage.front.ask("GET", "/healthz")).status, 200, "/healthz")


async def is_not_known(stage, channel):
    """Until it is Gatekey that says so: a gateway that takes a Gatekey for unhealthy, since it was restarted, says 503 itself."""
    await settles(stage, channel, 503)
    if stage.front.asks_by_grpc:
        async with asyncio.timeout(RECOVERY_SECONDS):
            for _, path, token, _ in stage.rules():
                while (answer := await stage.refused(f"{path}/echo", [token.bearer])).one("content-type") != "text/plain":
                    equal(answer.status, 503, f"{path} on the way")
                    await asyncio.sleep(0.05)


async def settles(stage, channel, wanted):
    """Asks until the status is the wanted one: until then it is 200 or 503, and nothing else."""
    async with asyncio.timeout(RECOVERY_SECONDS):
        while (status := await ask(stage, channel)) != wanted:
            expect(status in (200, 503), f"on the way to {wanted} it was {status}")
            await asyncio.sleep(0.05)


async def ask(stage, channel):
    for _, path, token, _ in stage.rules():
        return (await stage.front.ask("GET", f"{path}/echo", [token.bearer])).status
    for _, service, token, _ in stage.grpc_rules():
        try:
            await channel.unary_unary(f"/{service}/Describe")(b"?", metadata=[token.bearer], timeout=ANSWER_SECONDS)
            return 200
        except grpc.aio.AioRpcError as error:
            return 503 if error.code() == UNAVAILABLE else error.code()


async def recovers(stage, channel):
    """All is as before: who was good passes, who was not does not."""
    await settles(stage, channel, 200)
    for kind, path, token, other in stage.rules():
        await stage.passes(token, "GET", f"{path}/echo")
        equal((await stage.refused(f"{path}/echo")).status, 401, "without a token")
        if other:
            equal((await stage.refused(f"{path}/echo", [other.bearer])).status, 403, "with the other type")
        gone = await stage.gatekey.create("batch" if kind == "any" else kind)
        await stage.gatekey.delete(gone)
        equal((await stage.refused(f"{path}/echo", [gone.bearer])).status, 401, "with a revoked one")
    for _, service, token, _ in stage.grpc_rules():
        await stage.grpc_passes(channel, service, token)
