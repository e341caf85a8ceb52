"""The gateways: the example files of deploy/ as they are, with their places filled, and what each of them guards."""

import asyncio
import os
import random
import re
import signal
import socket
import tempfile
import textwrap
from pathlib import Path

import grpc
from http_client import Connection, written
from programs import Program, surroundings
from secrets_of_a_run import GATEWAY, HOST

# How long a stream may last here; in production it is minutes.
MAX_STREAM_SECONDS = 2


def fill(template, target, **places):
    """Writes the file with its ${PLACES} filled, where only this run reads it."""

    def filled(match):
        return match[0] if match[1] == "PLACES" else str(places[match[1]])

    target.touch(mode=0o600)
    target.write_text(re.sub(r"\$\{([A-Z_]+)\}", filled, template.read_text()))


class Front:
    """A gateway in front of both services. `rules` has the path below which each type is asked for."""

    name = None
    tls = True
    http_rules = {"batch": "/v1/batch", "realtime": "/v1/realtime", "any": "/v1/account"}
    grpc_rules = {"batch": "transcribe.v1.BatchService", "realtime": "transcribe.v1.RealtimeService"}
    # Whether the clients see Gatekey's own refusals, or the gateway's words.
    passes_bodies = True
    # How many tokens are deleted under its eyes.
    deletes = 1000
    # Whether only what this one has of its own is looked at: another has shown the rest.
    brief = False
    # How long a stream may last, in seconds; None where it may last for ever.
    max_stream = None
    # Whether it removes what begins with x-gatekey-, or only what Gatekey sets.
    removes_others = True
    # Whether it asks by ext_authz, and not over HTTP.
    asks_by_grpc = False
    # What two `authorization` headers get.
    two_values = 401
    two_values_grpc = grpc.StatusCode.UNAUTHENTICATED
    # Whether clients of gRPC get the details of an error.
    tells_grpc_why = False

    def __init__(self, deploy, folder, logs, certificate, gatekey, services):
        self.deploy = deploy
        self.folder = folder
        self.certificate = certificate
        self.gatekey = gatekey
        self.http, self.grpc = services
        self.program = Program(self.name, logs / f"{self.name}.log")
        self.jwt = folder / "jwt"
        self.jwt.mkdir()
        self.write_jwt(self.good_jwt())
        # An address of its own: nobody takes the port before the gateway does.
        self.address = (f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}", 0)
        with socket.create_server(self.address) as free:
            self.address = free.getsockname()

    def places(self):
        host, port = self.address
        return {"LISTEN_ADDRESS": host, "LISTEN_PORT": port, "TLS": self.certificate.folder}

    def good_jwt(self):
        return self.gatekey.issuer.jwt(GATEWAY)

    def write_jwt(self, jwt):
        """Replaces it as Kubernetes does: by a new folder, and a link to it that is renamed."""
        folder = Path(tempfile.mkdtemp(prefix="..", dir=self.jwt))
        (folder / "token").write_text(jwt)
        (self.jwt / "..new").symlink_to(folder.name)
        (self.jwt / "..new").rename(self.jwt / "..data")
        if not (self.jwt / "token").is_symlink():
            (self.jwt / "token").symlink_to("..data/token")

    async def prove_by(self, jwt):
        """Gives the running gateway other credentials."""
        self.write_jwt(jwt)

    def proof(self):
        return self.gatekey_arguments(self.certificate)

    async def stop(self):
        await self.program.stop()

    async def listening(self):
        """Envoy says that it starts a moment before it takes connections."""
        async with asyncio.timeout(10):
            while True:
                try:
                    (await self.connect()).close()
                    return
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)

    @classmethod
    def gatekey_arguments(cls, certificate):
        """How Gatekey knows it: by its address, by its certificate, or, without any, by a JWT."""
        return ()

    @classmethod
    def arguments_of_another(cls, certificate):
        """Those by which Gatekey would not."""
        return []

    @classmethod
    def gatekey_tls(cls, certificate):
        return None

    # Its clients.

    async def connect(self):
        return await Connection.open(self.address, self.certificate.client if self.tls else None, HOST)

    async def ask(self, method, target, headers=(), body=b""):
        """One request on a connection of its own."""
        async with await self.connect() as connection:
            return await connection.ask(written(method, target, [("host", HOST), *headers], body))

    def channel(self):
        target = "{}:{}".format(*self.address)
        if not self.tls:
            return grpc.aio.insecure_channel(target)
        options = [("grpc.ssl_target_name_override", HOST), ("grpc.default_authority", HOST)]
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(self.certificate.authority), options)


class Envoy(Front):
    asks_by_grpc = True
    max_stream = MAX_STREAM_SECONDS
    tells_grpc_why = True

    async def start(self):
        places = self.places()
        host, port = self.gatekey.address("grpc")
        places |= {"GATEKEY_ADDRESS": host, "GATEKEY_PORT": port, "ADMIN_PORT": 0}
        places |= {"MAX_STREAM_DURATION": f"{MAX_STREAM_SECONDS}s", "SECRETS": self.folder, "JWT": self.jwt}
        self.configure(self.deploy / "envoy", places)
        await self.program.start(
            *(os.environ["ENVOY"], "--config-path", self.folder / "envoy.yaml", "--disable-hot-restart", "--concurrency", 2),
            ready=lambda line: "starting workers" in line,
        )
        await self.listening()


class Edge(Envoy):
    name = "envoy-edge"

    @classmethod
    def gatekey_arguments(cls, certificate):
        return ("--gateway-peer", "127.0.0.1")

    @classmethod
    def arguments_of_another(cls, certificate):
        return [(), ("--gateway-peer", "127.0.0.77")]

    def configure(self, deploy, places):
        places |= {"HTTP_SERVICE_ADDRESS": "127.0.0.1", "HTTP_SERVICE_PORT": self.http.port}
        places |= {"GRPC_SERVICE_ADDRESS": "127.0.0.1", "GRPC_SERVICE_PORT": self.grpc.port}
        fill(deploy / "edge.yaml", self.folder / "envoy.yaml", **places)


class EdgeByTls(Edge):
    """The same with what the README adds for TLS: each proves itself to the other by a certificate."""

    name = "envoy-edge-tls"
    deletes = 200
    brief = True
    SERVER = "gatekey.gatekey"
    ID = "spiffe://example.org/edge"

    @classmethod
    def server_arguments(cls, certificate):
        server = certificate.another("gatekey-tls", f"DNS:{cls.SERVER}")
        files = ("--tls-cert-file", server / "tls.crt", "--tls-key-file", server / "tls.key")
        return (*files, "--tls-client-ca-file", server / "ca.crt")

    @classmethod
    def gatekey_arguments(cls, certificate):
        return (*cls.server_arguments(certificate), "--gateway-spiffe-id", cls.ID)

    @classmethod
    def arguments_of_another(cls, certificate):
        server = cls.server_arguments(certificate)
        return [server, (*server, "--gateway-spiffe-id", f"{cls.ID}-2")]

    @classmethod
    def gatekey_tls(cls, certificate):
        return certificate.client, cls.SERVER

    def configure(self, deploy, places):
        super().configure(deploy, places)
        readme = (deploy / "README.md").read_text()
        _, _, section = readme.partition("\n## With TLS\n")
        socket = re.search(r"```yaml\n(.*?)```", section, re.DOTALL)[1]
        folder = self.certificate.another("edge-tls", f"URI:{self.ID}")
        socket = textwrap.indent(socket.replace("/run/tls", str(folder)), " " * 6)
        file = self.folder / "envoy.yaml"
        cluster = "    - name: gatekey\n"
        before, found, after = file.read_text().partition(cluster)
        if not found:
            raise RuntimeError("the file has no cluster of Gatekey")
        file.write_text(before + cluster + socket + after)


class Sidecar(Envoy):
    tls = False
    kind = "batch"

    def configure(self, deploy, places):
        places |= {"TYPE": self.kind, "SERVICE_PORT": self.service().port}
        fill(deploy / "sidecar.yaml", self.folder / "envoy.yaml", **places)
        fill(deploy / "secrets" / "gatekey-jwt.yaml", self.folder / "gatekey-jwt.yaml", **places)


class HttpSidecar(Sidecar):
    name = "envoy-sidecar-http"
    deletes = 500
    http_rules = {"batch": "/v1"}
    grpc_rules = {}

    def service(self):
        return self.http


class GrpcSidecar(Sidecar):
    name = "envoy-sidecar-grpc"
    deletes = 500
    kind = "realtime"
    http_rules = {}
    grpc_rules = {"realtime": "transcribe.v1.RealtimeService"}

    def service(self):
        return self.grpc


class Nginx(Front):
    name = "nginx"
    passes_bodies = False
    removes_others = False
    two_values = 400
    two_values_grpc = grpc.StatusCode.INTERNAL

    def places(self):
        host, port = self.gatekey.address("http")
        places = super().places() | {"GATEKEY_ADDRESS": host, "GATEKEY_PORT": port}
        places |= {"HTTP_SERVICE_ADDRESS": "127.0.0.1", "HTTP_SERVICE_PORT": self.http.port}
        places |= {"GRPC_SERVICE_ADDRESS": "127.0.0.1", "GRPC_SERVICE_PORT": self.grpc.port}
        return places | {"RUN": self.folder, "CONF": self.folder}

    async def start(self):
        for file in ["nginx.conf", "ask.conf"]:
            fill(self.deploy / "nginx" / file, self.folder / file, **self.places())
        await self.prove_by(self.good_jwt(), running=False)
        await self.program.start(
            *("nginx", "-e", "stderr", "-c", self.folder / "nginx.conf", "-g", "daemon off;"),
            ready=lambda line: "start worker process " in line,
        )

    async def prove_by(self, jwt, running=True):
        fill(self.deploy / "nginx" / "proof.conf", self.folder / "proof.conf", GATEKEY_JWT=jwt)
        if running:
            # Those with the old file don't take connections any more once they say so.
            old = self.program.line(lambda line: "gracefully shutting down" in line)
            self.program.send(signal.SIGHUP)
            await old


class Caddy(Front):
    name = "caddy"
    max_stream = MAX_STREAM_SECONDS

    async def start(self):
        gatekey = "{}:{}".format(*self.gatekey.address("http"))
        places = {name: str(value) for name, value in self.places().items()}
        places |= {"GATEKEY_ADDRESS": gatekey, "JWT": str(self.jwt), "MAX_STREAM_DURATION": f"{MAX_STREAM_SECONDS}s"}
        places |= {"HTTP_SERVICE_ADDRESS": f"127.0.0.1:{self.http.port}", "GRPC_SERVICE_ADDRESS": f"127.0.0.1:{self.grpc.port}"}
        await self.program.start(
            *(os.environ["CADDY"], "run", "--config", self.deploy / "caddy" / "Caddyfile", "--adapter", "caddyfile"),
            ready=lambda line: "serving initial configuration" in line,
            environment=surroundings(**places, HOME=str(self.folder)),
        )


ALL = [Edge, EdgeByTls, HttpSidecar, GrpcSidecar, Nginx, Caddy]
