"""A real Gatekey, as in production: it knows people and gateways by the JWTs of an issuer."""

import json
import os
import signal
from dataclasses import dataclass

from http_client import Connection, written
from programs import Program


@dataclass
class Token:
    id: int
    key: str
    name: str
    value: str
    expires: str

    @property
    def bearer(self):
        return ("authorization", f"Bearer {self.value}")


class Gatekey:
    TENANT = "acme & söhne"

    def __init__(self, folder, logs, issuer, tls=None):
        """With a client's context and the server's name, if it speaks TLS."""
        self.tls = tls or (None, None)
        self.folder = folder
        self.issuer = issuer
        self.program = Program("gatekey", logs / f"{folder.name}-gatekey.log")
        self.developer = issuer.jwt("developer", roles=["developer"], tenant=self.TENANT)
        self.values = []
        self.addresses = None

    async def start(self, *more):
        """Starts it; again on the same ports with the same data, if it ran before."""
        grpc, http = self.addresses or ("127.0.0.1:0", "127.0.0.1:0")
        said = await self.program.start(
            *(os.environ["GATEKEY"], "serve", "--grpc-addr", grpc, "--http-addr", http, "--data-dir", self.folder),
            *("--database-url", f"sqlite:{self.folder}/gatekey.db", *self.issuer.arguments),
            # So that a delete after a crash takes 2.5 s and not 12.5.
            *("--lease", 2),
            # What it logs is searched for token values.
            *("--log", "info,gatekey=debug,gatekey_api=debug,gatekey_core=debug", *more),
            ready=lambda line: '"event":"listening"' in line and json.loads(line),
        )
        self.addresses = (said["grpc"], said["http"])

    async def stop(self, number=signal.SIGTERM):
        await self.program.stop(number)

    def address(self, protocol):
        host, port = self.addresses[protocol == "http"].rsplit(":", 1)
        return host, int(port)

    async def connect(self):
        return await Connection.open(self.address("http"), *self.tls)

    def _written(self, method, path, body=None):
        headers = [("host", "gatekey"), ("authorization", f"Bearer {self.developer}")]
        if body is None:
            return written(method, path, headers)
        return written(method, path, [*headers, ("content-type", "application/json")], json.dumps(body).encode())

    async def create(self, kind, name="Production Integration", connection=None):
        """A new token. The connection may be used again."""
        own = connection or await self.connect()
        body = {"name": name, "type": kind, "years_valid": 1}
        answer = await own.ask(self._written("POST", "/api/v3/tokens", body))
        if answer.status != 201:
            raise RuntimeError(f"a token was not created: {answer.status}")
        made = answer.json()
        self.values.append(made["token_value"])
        if not connection:
            own.close()
        return Token(made["id"], made["key"], made["name"], made["token_value"], made["expires"])

    async def delete(self, token, connection=None):
        """Returns when the token is revoked everywhere."""
        own = connection or await self.connect()
        answer = await own.ask(self._written("DELETE", f"/api/v3/tokens/{token.id}"))
        if answer.status != 204:
            raise RuntimeError(f"a token was not deleted: {answer.status}")
        if not connection:
            own.close()
