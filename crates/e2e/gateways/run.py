"""Real Envoy, nginx and Caddy with the files of deploy/, in front of a plain HTTP service and a gRPC one, asking a real Gatekey.

Started by scripts/gateways, which says in the environment where the programs are (GATEKEY, ENVOY, CADDY; nginx is in PATH) and
where their logs go (LOGS). Arguments are names of gateways; none are all.
"""

import asyncio
import signal
import sys
import tempfile
from os import environ
from pathlib import Path

import answers
import bodies
import calls
import forged
import fronts
import paths
import revocation
import trouble
from checks import Checks, equal, expect
from gatekey import Gatekey
from grpc_service import GrpcService
from http_service import HttpService
from secrets_of_a_run import Certificate, Issuer
from stage import Stage

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


def checks_of(front):
    """What is checked of a gateway, in this order, by the names of the checks."""
    if front.brief:
        yield "good tokens pass", answers.good_tokens_pass
        yield "refusals say why", answers.refusals_say_why
        yield "gRPC: good tokens pass", calls.good_tokens_pass
        yield "gRPC: refusals have their codes", calls.refusals_have_their_codes
        return
    if front.http_rules:
        yield "good tokens pass", answers.good_tokens_pass
        yield "names of any script", answers.names_of_any_script
        yield "refusals say why", answers.refusals_say_why
        yield "several authorizations", answers.several_authorizations
        yield "nothing but authorization counts", answers.nothing_but_authorization_counts
        yield "public routes", answers.public_routes
        yield "the service's own errors", answers.own_errors_of_the_service
        yield "many requests on one connection", answers.many_on_one_connection
        yield "forged identities", forged.identities
        yield "headers of a connection", forged.connection_headers
        yield "forged original requests", forged.original_requests
        yield "other upgrades", forged.other_upgrades
        yield "header bombs", forged.header_bombs
        yield "smuggled requests", paths.smuggled_requests
        yield "long uploads", bodies.long_uploads
        yield "refused uploads", bodies.refused_uploads
        yield "uploads bit by bit", bodies.uploads_bit_by_bit
        yield "answers bit by bit", bodies.answers_bit_by_bit
        yield "WebSockets", bodies.web_sockets
        if front.max_stream:
            yield "HTTP streams end", bodies.streams_end
            yield "WebSockets end", bodies.web_sockets_end
    if len(front.http_rules) > 1:
        yield "routes without a rule", answers.routes_without_a_rule
        yield "odd paths", paths.no_path_opens_another_type
    if front.grpc_rules:
        yield "gRPC: good tokens pass", calls.good_tokens_pass
        yield "gRPC: refusals have their codes", calls.refusals_have_their_codes
        yield "gRPC: forged metadata", calls.forged_metadata
        yield "gRPC: other services", calls.other_services
        yield "gRPC: streams go both ways", calls.streams_go_both_ways
        if "batch" in front.grpc_rules:
            yield "gRPC: long uploads", calls.long_uploads
        if front.max_stream:
            yield "gRPC: streams end", calls.streams_end


TROUBLE = [
    ("Gatekey is stopped", trouble.stopped),
    ("Gatekey does not know the gateway", trouble.gateway_not_known),
    ("Gatekey is killed", trouble.killed),
]


async def check_front(front_class, checks, folder, logs, certificate, issuer):
    """All of one gateway. Returns the token values that its clients had."""
    name = front_class.name
    print(f"--- {name}", flush=True)
    own = folder / name
    own.mkdir()
    gatekey = Gatekey(own, logs, issuer, front_class.gatekey_tls(certificate))
    running = []

    async def start(part, *arguments):
        await part.start(*arguments)
        running.append(part)

    try:
        services = HttpService(), GrpcService()
        for service in services:
            await start(service)
        await start(gatekey, *front_class.gatekey_arguments(certificate))
        front = front_class(DEPLOY, own, logs, certificate, gatekey, services)
        await start(front)
        tokens = {kind: await gatekey.create(kind, f"für {kind}") for kind in ["batch", "realtime"]}
        stage = Stage(front, gatekey, *services, tokens)
        for what, check in checks_of(front):
            await checks.run(f"{name}: {what}", check, stage)
        what = f"{name}: {front.deletes} deletes, and no stale accept"
        await checks.run(what, revocation.no_stale_accept, stage, front.deletes, seconds=revocation.SECONDS)
        for what, check in TROUBLE:
            await checks.run(f"{name}: {what}", check, stage)
    except Exception as error:
        checks.failed += 1
        print(f"FAILED {name}: {error!r}", flush=True)
    finally:
        for part in reversed(running):
            await part.stop()
    await checks.run(f"{name}: logs say who, by the public part of a token", keys_are_logged, logs / f"{name}.log", gatekey)
    return gatekey.values


async def keys_are_logged(log, gatekey):
    text = log.read_bytes()
    used = [value[:13] for value in gatekey.values if value[:13].encode() in text]
    expect(len(used) >= len(gatekey.values) / 2, f"{len(used)} of {len(gatekey.values)} keys are in the log")


async def no_value_is_logged(logs, values, fronts_run):
    """Neither by Gatekey nor by a gateway: not even the secret part of one."""
    files = sorted(logs.glob("*.log"))
    expect(len(files) == 2 * fronts_run, f"{len(files)} logs")
    secrets = {value[len("gk_b_") + 8 :].encode() for value in values}
    expect(secrets, "there were no tokens")
    for file in files:
        text = file.read_bytes()
        expect(text, f"{file.name} is empty")
        equal([file.name for secret in secrets if secret in text], [], "logs with a token's value")


async def main(names):
    chosen = [front for front in fronts.ALL if not names or front.name in names]
    logs = Path(environ["LOGS"])
    checks, values = Checks(), []
    with tempfile.TemporaryDirectory(prefix="gatekey-gateways-") as name:
        folder = Path(name)
        certificate, issuer = Certificate(folder), Issuer(folder)
        for front in chosen:
            values += await check_front(front, checks, folder, logs, certificate, issuer)
    await checks.run("no token value is in a log", no_value_is_logged, logs, values, len(chosen))
    print(checks.closing_line(), flush=True)
    return checks.failed == 0 and checks.passed > 0


async def until_told():
    """The same, ended in an orderly way by signals."""
    task = asyncio.current_task()
    for number in [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]:
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await main(sys.argv[1:])


if __name__ == "__main__":
    try:
        sys.exit(not asyncio.run(until_told()))
    except asyncio.CancelledError:
        sys.exit("ended by a signal")
