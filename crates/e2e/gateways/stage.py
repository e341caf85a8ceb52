"""What the tests of one gateway share, and how they look at what came through it."""

import re
import uuid
from dataclasses import dataclass
from urllib.parse import unquote

import grpc
from checks import equal, expect
from gatekey import Gatekey, Token

IDENTITY = [f"x-gatekey-token-{part}" for part in ["id", "type", "tenant", "name", "key", "expires"]]


@dataclass
class Stage:
    front: object
    gatekey: Gatekey
    http: object
    grpc: object
    # By type.
    tokens: dict[str, Token]

    def rules(self):
        """Each type, the path below which it is asked for, a token that opens it, and one that does not."""
        for kind, path in self.front.http_rules.items():
            yield kind, path, self.tokens["batch" if kind == "any" else kind], self.other(kind)

    def grpc_rules(self):
        for kind, service in self.front.grpc_rules.items():
            yield kind, service, self.tokens[kind], self.other(kind)

    def other(self, kind):
        return {"batch": self.tokens["realtime"], "realtime": self.tokens["batch"]}.get(kind)

    def a_path(self):
        """A path that is opened by the token that comes with it."""
        _, path, token, _ = next(self.rules())
        return path, token

    async def passes(self, token, method, target, headers=(), body=b""):
        """The request as the service saw it: once, with its token's identity and none else."""
        mark = new_mark()
        answer = await self.front.ask(method, target, [*token_header(token), *headers, ("x-mark", mark)], body)
        equal(answer.status, 200, f"{method} {target}")
        seen = self.http.seen(mark)
        equal(len(seen), 1, "how often the service was asked")
        is_of(seen[0].headers, token, self.gatekey.TENANT)
        return answer, seen[0]

    async def refused(self, target, headers=(), method="GET", body=b""):
        """The answer to a request that must not reach the service."""
        mark = new_mark()
        answer = await self.front.ask(method, target, [*headers, ("x-mark", mark)], body)
        expect(not self.http.seen(mark), f"{method} {target} reached the service, and was answered {answer.status}")
        expect(answer.status >= 400, f"{method} {target} was answered {answer.status}")
        return answer

    async def grpc_passes(self, channel, service, token, metadata=()):
        mark = new_mark()
        call = channel.unary_unary(f"/{service}/Describe")
        await call(b"?", metadata=[*token_header(token), *metadata, ("x-mark", mark)], timeout=15)
        seen = self.grpc.seen(mark)
        equal(len(seen), 1, "how often the service was called")
        is_of(seen[0], token, self.gatekey.TENANT)
        return seen[0]

    async def grpc_refused(self, channel, service, metadata=(), timeout=15):
        """The error of a call that must not reach the service."""
        mark = new_mark()
        call = channel.unary_unary(f"/{service}/Describe")
        try:
            await call(b"?", metadata=[*metadata, ("x-mark", mark)], timeout=timeout)
            raise AssertionError(f"a call of {service} was answered")
        except grpc.aio.AioRpcError as error:
            expect(not self.grpc.seen(mark), f"a call of {service} reached the service, and ended with {error.code()}")
            return error


def new_mark():
    return uuid.uuid4().hex


def token_header(token):
    return [token.bearer] if token else []


def is_of(headers, token, tenant):
    """All that says who calls is what Gatekey knows of this token."""
    said = sorted((name, value) for name, value in headers if is_identity(name))
    kind = {"b": "batch", "r": "realtime"}[token.key[3]]
    wanted = zip(IDENTITY, [str(token.id), kind, tenant, token.name, token.key, token.expires])
    # REST says the time of expiry in whole seconds.
    got = [(name, re.sub(r"\.\d+Z$", "Z", value) if name == IDENTITY[-1] else unquote(value)) for name, value in said]
    equal(got, sorted(wanted), "who calls, as the service hears it")


def nobody(headers):
    equal([name for name, _ in headers if is_identity(name)], [], "who calls, as the service hears it")


def is_identity(name):
    return name.lower().replace("_", "-").startswith("x-gatekey-")
