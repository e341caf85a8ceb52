"""A server from before its start to after its end, asked for its health by every tool in each phase.

Called by scripts/lifecycle: lifecycle.py FOLDER DATABASE_URL. The binary is in GATEKEY, a probe in PROBE if there is one.
Every wait is for something that a tool sees, and is bounded.
"""

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

FOLDER, DATABASE = sys.argv[1:]
GATEKEY, PROBE = os.environ["GATEKEY"], os.environ.get("PROBE")
SECONDS = 30
NAMES = {
    "": "/livez",
    "gatekey.v1.TokenService": "/readyz",
    "gatekey.v1.RevocationService": None,
    "envoy.service.auth.v3.Authorization": None,
}
UP, DOWN, NOBODY = "SERVING", "NOT_SERVING", "nobody answers"

counts = {"ok": 0, "FAILED": 0}
rows = []


def expect(name, wanted, got):
    word = "ok" if wanted == got else "FAILED"
    counts[word] += 1
    print(f"{word} {name}{'' if word == 'ok' else f': wanted {wanted!r}, got {got!r}'}", flush=True)


def until(what, condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"FAILED {what}: not within {SECONDS} s")
        time.sleep(0.02)  # Between two looks.


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


GRPC, HTTP, RELAY = (free_port() for _ in range(3))
ADDRESS = f"127.0.0.1:{GRPC}"


class Store:
    """The way to Postgres."""

    process = None

    def come(self):
        target = re.search(r":(\d+)/", DATABASE).group(1)
        relay = os.path.join(os.path.dirname(__file__), "relay.py")
        self.process = subprocess.Popen([sys.executable, relay, str(RELAY), target])

    def go(self):
        self.process.kill()
        self.process.wait()


def by_grpcio(name):
    with grpc.insecure_channel(ADDRESS) as channel:
        request = health_pb2.HealthCheckRequest(service=name)
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
            return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        except grpc.RpcError as error:
            return NOBODY if error.code() == grpc.StatusCode.UNAVAILABLE else error.code().name


def by_command(command, up, down):
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    if done.returncode == 0:
        return UP
    said = done.stdout + done.stderr
    return DOWN if down in said else NOBODY if up in said else f"exit code {done.returncode}: {said.strip()}"


def by_gatekey(name):
    command = [GATEKEY, "health", "--grpc-addr", ADDRESS, "--service", name]
    return by_command(command, "can't be reached", "is not serving")


def by_probe(name, patience):
    """It tries again until its time is over, where nobody listens."""
    command = [PROBE, "-addr", ADDRESS, "-service", name, "-connect-timeout", patience]
    return by_command(command, "failed to connect", "service unhealthy")


def by_http(path):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{HTTP}{path}", timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return NOBODY


class Tokens:
    """Calls as a program makes them; it knows the service by reflection alone."""

    def __init__(self, jwt):
        self.jwt = jwt
        with grpc.insecure_channel(ADDRESS) as channel:
            self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            self.service = self.pool.FindServiceByName("gatekey.v1.TokenService")
            self.pool.FindServiceByName("gatekey.v1.RevocationService")

    def message(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"gatekey.v1.{name}"))

    def call(self, method, **fields):
        """The answer, or the code of a refusal."""
        about = self.service.FindMethodByName(method)
        request = message_factory.GetMessageClass(about.input_type)(**fields)
        answer = message_factory.GetMessageClass(about.output_type)
        with grpc.insecure_channel(ADDRESS) as channel:
            stub = channel.unary_unary(
                f"/gatekey.v1.TokenService/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=answer.FromString,
            )
            try:
                return stub(request, timeout=10, metadata=self.metadata())
            except grpc.RpcError as error:
                return error.code().name

    def metadata(self):
        return [("authorization", f"Bearer {self.jwt}")]

    def verify(self, value):
        answer = self.call("VerifyToken", token_value=value)
        return answer if isinstance(answer, str) else answer.DESCRIPTOR.fields_by_name["verdict"].enum_type.values_by_number[answer.verdict].name

    def create(self):
        answer = self.call("CreateToken", name="of a life", type=1, years_valid=1)
        return answer if isinstance(answer, str) else "OK"


def stubborn_holder(tokens):
    """A holder that renews its lease and does not go when it is asked to: the drain waits for its last grant."""
    request, response = tokens.message("WatchRequest"), tokens.message("WatchResponse")
    said = queue.Queue()
    channel = grpc.insecure_channel(ADDRESS)
    stub = channel.stream_stream(
        "/gatekey.v1.RevocationService/Watch",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=response.FromString,
    )
    answers = stub(iter(said.get, None), metadata=tokens.metadata())
    said.put(request(hello={"holder": b"1" * 16, "stream": 1}))
    granted = threading.Event()

    def hold():
        try:
            for answer in answers:
                kind = answer.WhichOneof("event")
                if kind == "reset":
                    said.put(request(ack={"position": answer.reset.position, "reset_id": answer.reset.id}))
                    said.put(request(renew={"id": 1, "reset_id": answer.reset.id}))
                elif kind == "grant":
                    granted.set()
                    time.sleep(0.5)  # A holder's pace.
                    said.put(request(renew={"id": answer.grant.id + 1, "reset_id": 1}))
        except grpc.RpcError:
            pass

    threading.Thread(target=hold, daemon=True).start()
    expect("a holder has a lease", True, granted.wait(SECONDS))


def health_watch(name):
    """What a watch of the health of a name is told, from now on, and when it ends."""
    told = queue.Queue()
    channel = grpc.insecure_channel(ADDRESS)

    def follow():
        try:
            for answer in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=name)):
                told.put(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
            told.put("its end")
        except grpc.RpcError as error:
            told.put(error.code().name)

    threading.Thread(target=follow, daemon=True).start()
    return told


def look(phase, live, ready, verify=None, create=None):
    """Asks everybody for everything, and compares with what should be."""
    http = {UP: 200, DOWN: 503, NOBODY: NOBODY}
    for name, path in NAMES.items():
        wanted = live if name == "" else ready
        answers = {"grpcio": by_grpcio(name), "gatekey health": by_gatekey(name)}
        if PROBE:
            answers["grpc-health-probe"] = by_probe(name, "500ms" if wanted == NOBODY else "5s")
        for tool, answer in answers.items():
            expect(f"{phase}: {tool}, '{name}'", wanted, answer)
        shown = ""
        if path:
            answer = by_http(path)
            expect(f"{phase}: {path}", http[wanted], answer)
            shown = f"`{path}` {answer}"
        probe = answers.get("grpc-health-probe", "(not here)")
        rows.append([phase, f"`{name}`" if name else "(empty)", answers["grpcio"], probe, answers["gatekey health"], shown])
    if verify:
        said = tokens.verify(value), tokens.create()
        expect(f"{phase}: VerifyToken, CreateToken", (verify, create), said)
        rows[-len(NAMES)].append("VerifyToken " + said[0].removeprefix("VERDICT_") + ", CreateToken " + said[1])


subprocess.run([GATEKEY, "migrate", "--database-url", DATABASE], check=True, stdout=subprocess.DEVNULL)
store = Store()
command = [GATEKEY, "serve", "--dev", "--data-dir", f"{FOLDER}/data", "--grpc-addr", ADDRESS, "--http-addr", f"127.0.0.1:{HTTP}"]
command += ["--database-url", re.sub(r":\d+/", f":{RELAY}/", DATABASE), "--lease", "4", "--shutdown-delay", "6"]
server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(f"{FOLDER}/log", "w"), text=True)
try:
    until("it comes to life", lambda: by_grpcio("") == UP)
    begin = time.monotonic()
    jwt = subprocess.run([GATEKEY, "dev-token", "--data-dir", f"{FOLDER}/data"], check=True, capture_output=True, text=True)
    tokens = Tokens(jwt.stdout.strip())
    look("waits for the store", UP, DOWN)
    expect("waits for the store: CreateToken", "UNAVAILABLE", tokens.create())

    store.come()
    said = json.loads(server.stdout.readline())
    expect("it says that it listens", ("listening", ADDRESS), (said["event"], said["grpc"]))
    value = tokens.call("CreateToken", name="of a life", type=1, years_valid=1).token_value
    look("ready", UP, UP, "VERDICT_ACTIVE", "OK")

    store.go()
    look("store gone, lease alive", UP, UP)
    expect("store gone, lease alive: VerifyToken of a known token", "VERDICT_ACTIVE", tokens.verify(value))
    until("the lease is over", lambda: by_grpcio("gatekey.v1.TokenService") == DOWN)
    look("store gone, lease over", UP, DOWN, "UNAVAILABLE", "UNAVAILABLE")

    store.come()
    until("it recovers", lambda: by_grpcio("gatekey.v1.TokenService") == UP)
    look("store back", UP, UP, "VERDICT_ACTIVE", "OK")

    stubborn_holder(tokens)
    live, ready = health_watch(""), health_watch("gatekey.v1.TokenService")
    expect("watches begin", (UP, UP), (live.get(timeout=SECONDS), ready.get(timeout=SECONDS)))
    server.send_signal(signal.SIGTERM)
    expect("SIGTERM: the watch of readiness is told at once", DOWN, ready.get(timeout=SECONDS))
    look("SIGTERM, the delay", UP, DOWN, "VERDICT_ACTIVE", "OK")
    expect("the delay: the watch of the process is told nothing", True, live.empty())

    expect("draining: the watch of the process is told", (DOWN, "its end"), (live.get(timeout=SECONDS), live.get(timeout=SECONDS)))
    expect("draining: the watch of readiness ends", "its end", ready.get(timeout=SECONDS))
    until("it takes nothing any more", lambda: by_http("/livez") == NOBODY)
    expect("draining: it is still there, for a lease that it gave", None, server.poll())
    look("draining", NOBODY, NOBODY)

    expect("gone: its exit code", 0, server.wait(timeout=SECONDS))
    look("gone", NOBODY, NOBODY)
finally:
    server.kill()
    store.go()

print(f"--- {time.monotonic() - begin:.1f} s from its first answer on\n")
print("| phase | service | grpcio | grpc-health-probe | gatekey health | HTTP | calls |\n| --- | --- | --- | --- | --- | --- | --- |")
last = None
for row in rows:
    row += [""] * (7 - len(row))
    print("| " + " | ".join([row[0] if row[0] != last else "", *row[1:]]) + " |")
    last = row[0]
print(f"{counts['ok']} passed, {counts['FAILED']} failed")
sys.exit(counts["FAILED"] > 0)
