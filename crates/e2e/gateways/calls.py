"""Calls over gRPC, with the official client."""

import asyncio
import hashlib
import json

import grpc
from bodies import LENGTH, lasted, pieces
from checks import equal, expect
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from stage import IDENTITY, new_mark

CODE = grpc.StatusCode


async def good_tokens_pass(stage):
    async with stage.front.channel() as channel:
        for kind, service, token, _ in stage.grpc_rules():
            await stage.grpc_passes(channel, service, token)
            seen = dict(await stage.grpc_passes(channel, service, token, [("x-raw-bin", b"\x00\xff\x01"), ("x-text", "a b")]))
            equal((seen["x-raw-bin"], seen["x-text"]), ("00ff01", "a b"), "metadata of the client")
            named = await stage.gatekey.create(kind, "Prüfung 50% 日本語")
            await stage.grpc_passes(channel, service, named)
            await stage.gatekey.delete(named)


async def refusals_have_their_codes(stage):
    async with stage.front.channel() as channel:
        for kind, service, token, other in stage.grpc_rules():
            revoked = await stage.gatekey.create(kind)
            await stage.gatekey.delete(revoked)
            cases = {
                "no token": ([], CODE.UNAUTHENTICATED, "API_TOKEN_MISSING"),
                "another scheme": (["Basic dXNlcjpwYXNz"], CODE.UNAUTHENTICATED, "API_TOKEN_MISSING"),
                "malformed": (["Bearer x"], CODE.UNAUTHENTICATED, "API_TOKEN_INVALID"),
                "revoked": ([f"Bearer {revoked.value}"], CODE.UNAUTHENTICATED, "API_TOKEN_INVALID"),
                "two by comma": ([f"Bearer {token.value}, Bearer x"], CODE.UNAUTHENTICATED, "API_TOKEN_UNREADABLE"),
                "of the other type": ([f"Bearer {other.value}"], CODE.PERMISSION_DENIED, "API_TOKEN_WRONG_TYPE"),
            }
            for name, (values, code, reason) in cases.items():
                error = await stage.grpc_refused(channel, service, [("authorization", value) for value in values])
                equal(error.code(), code, f"{kind}: {name}")
                if stage.front.tells_grpc_why:
                    status = rpc_status.from_call(error_as_call(error))
                    info = error_details_pb2.ErrorInfo()
                    expect(status and status.details[0].Unpack(info), f"{name}: no ErrorInfo")
                    equal((info.domain, info.reason), ("gatekey", reason), f"{kind}: {name}")
                    equal(error.details(), status.message, f"{name}: the message")
            for values in [[token.value, token.value], [token.value, "x"], ["x", token.value]]:
                error = await stage.grpc_refused(channel, service, [("authorization", f"Bearer {value}") for value in values])
                equal(error.code(), stage.front.two_values_grpc, "two values")


def error_as_call(error):
    """What grpc_status reads of a call, which an error of grpc.aio has under other names."""

    class Call:
        def trailing_metadata(self):
            return list(error.trailing_metadata())

        def code(self):
            return error.code()

        def details(self):
            return error.details()

    return Call()


async def forged_metadata(stage):
    async with stage.front.channel() as channel:
        for _, service, token, other in stage.grpc_rules():
            forged = [(name, "evil") for name in [*IDENTITY, "x-gatekey-authorization"]]
            for metadata in [forged, forged * 2, [(name.replace("-", "_"), value) for name, value in forged]]:
                await stage.grpc_passes(channel, service, token, metadata)
            for name in ["x-original-uri", "x-forwarded-uri", "x-original-method"]:
                path = "/transcribe.v1.BatchService/Describe"
                await stage.grpc_passes(channel, service, token, [(name, path), (name, path)])
                error = await stage.grpc_refused(channel, service, [other.bearer, (name, path)])
                equal(error.code(), CODE.PERMISSION_DENIED, name)


async def other_services(stage):
    """Neither a service that nobody wrote a rule for, nor another spelling of one."""
    codes = [CODE.PERMISSION_DENIED, CODE.UNIMPLEMENTED, CODE.INTERNAL, CODE.UNAUTHENTICATED, CODE.UNKNOWN]
    async with stage.front.channel() as channel:
        for _, service, token, other in stage.grpc_rules():
            package, name = service.rsplit(".", 1)
            encoded = f"{package}.%{ord(name[0]):x}{name[1:]}"
            for spelling in [service.lower(), service.upper(), encoded, f"/{service}", f"x/../{service}"]:
                error = await stage.grpc_refused(channel, spelling, [other.bearer])
                expect(error.code() in codes, f"{spelling}: {error.code()}")
        if len(stage.front.grpc_rules) > 1:
            for token in stage.tokens.values():
                for unknown in ["transcribe.v1.OtherService", "grpc.reflection.v1.ServerReflection", "transcribe.v1"]:
                    error = await stage.grpc_refused(channel, unknown, [token.bearer])
                    expect(error.code() in codes, f"{unknown}: {error.code()}")


async def long_uploads(stage):
    body = pieces()
    async with stage.front.channel() as channel:
        for kind, service, token, _ in stage.grpc_rules():
            if kind != "batch":
                continue

            async def send():
                for piece in body:
                    yield piece

            answer = json.loads(await channel.stream_unary(f"/{service}/Upload")(send(), metadata=[token.bearer], timeout=30))
            wanted = (LENGTH, hashlib.sha256(b"".join(body)).hexdigest())
            equal((answer["length"], answer["sha256"]), wanted, "the upload")


async def streams_go_both_ways(stage):
    """Each message comes back before the next one is sent."""
    async with stage.front.channel() as channel:
        for kind, service, token, other in stage.grpc_rules():
            if kind == "realtime":
                call = channel.stream_stream(f"/{service}/Transcribe")(metadata=[token.bearer], timeout=15)
                for message in [b"one", b"two", b"x" * 100_000]:
                    await call.write(message)
                    equal(await call.read(), message, "what comes back")
                await call.done_writing()
                equal(await call.read(), grpc.aio.EOF, "the end")
                equal(await call.code(), CODE.OK, "the end")
                refused = channel.stream_stream(f"/{service}/Transcribe")(metadata=[other.bearer], timeout=15)
                equal(await refused.code(), CODE.PERMISSION_DENIED, "a stream with a token of the other type")


async def streams_end(stage):
    """A stream whose token is deleted goes on until it has lasted as long as streams may; new ones are refused at once."""
    async with stage.front.channel() as channel:
        for kind, service, _, _ in stage.grpc_rules():
            if kind == "realtime":
                token = await stage.gatekey.create(kind)
                begin = asyncio.get_running_loop().time()
                call = channel.stream_stream(f"/{service}/Transcribe")(metadata=[token.bearer, ("x-mark", new_mark())])
                await call.write(b"before")
                equal(await call.read(), b"before", "what comes back")
                await stage.gatekey.delete(token)
                equal((await stage.grpc_refused(channel, service, [token.bearer])).code(), CODE.UNAUTHENTICATED, "a new call")
                await call.write(b"after")
                equal(await call.read(), b"after", "what goes on")
                code = await call.code()
                expect(code not in (CODE.OK, CODE.UNAUTHENTICATED), f"it ended with {code}")
                lasted(stage.front, asyncio.get_running_loop().time() - begin)
