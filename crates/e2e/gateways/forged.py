"""Clients that say who they are, where they want to go, or too much."""

from checks import equal, expect
from stage import IDENTITY, is_of, new_mark

OTHERS = ["X-GateKey-Authorization", "x-gatekey-token-admin", "x-gatekey-user", "x-gatekey-"]


async def identities(stage):
    """All that the service hears of who calls is from Gatekey, whatever the client says."""
    for kind, path, token, _ in stage.rules():
        for name in IDENTITY:
            capitals = "-".join(part.capitalize() for part in name.split("-"))
            for forged in [name, capitals, name.upper()]:
                await stage.passes(token, "GET", f"{path}/echo", [(forged, "evil")])
                await stage.passes(token, "GET", f"{path}/echo", [(forged, "evil"), (forged, "evil too")])
            for forged in [name.replace("-", "_"), name.replace("-token-", "_token_"), capitals.replace("-", "_")]:
                await stage.passes(token, "GET", f"{path}/echo", [(forged, "evil")])
        everything = [(name, "evil") for name in [*IDENTITY, *(name.replace("-", "_") for name in IDENTITY)]]
        await stage.passes(token, "GET", f"{path}/echo", everything)
        for name in OTHERS if stage.front.removes_others else OTHERS[:1]:
            await stage.passes(token, "GET", f"{path}/echo", [(name, "evil")])


async def connection_headers(stage):
    """A client can't have Gatekey's headers taken out as those of a connection (RFC 9110, section 7.6.1)."""
    path, token = stage.a_path()
    for value in ["x-gatekey-token-id, x-gatekey-token-type", "close, X-Gatekey-Token-Tenant", "keep-alive, authorization"]:
        mark = new_mark()
        answer = await stage.front.ask("GET", f"{path}/echo", [token.bearer, ("connection", value), ("x-mark", mark)])
        if answer.status == 200:
            is_of(stage.http.seen(mark)[0].headers, token, stage.gatekey.TENANT)
        else:
            expect(answer.status in (400, 401, 403), f"{value}: {answer.status}")
            equal(stage.http.seen(mark), [], value)


async def other_upgrades(stage):
    """No tunnel to the service opens but WebSockets: in one, nothing would be checked any more."""
    for _, path, token, _ in stage.rules():
        for upgrade in ["h2c", "h2c, websocket", "websocket, h2c", "TLS/1.3", "anything"]:
            mark = new_mark()
            headers = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", upgrade), ("http2-settings", "AAMAAABkAAQAAP__")]
            answer = await stage.front.ask("GET", f"{path}/echo", [token.bearer, *headers, ("x-mark", mark)])
            expect(answer.status != 101, f"{upgrade}: the service switched protocols")
            for seen in stage.http.seen(mark):
                equal(seen.all("upgrade"), [], upgrade)


async def original_requests(stage):
    """Where somebody wants to go is what they ask for, not what their headers say."""
    for kind, path, token, other in stage.rules():
        elsewhere = "/v1/realtime/echo" if kind == "batch" else "/v1/batch/echo"
        names = ["X-Original-URI", "X-Forwarded-Uri", "X-Original-URL", "X-Envoy-Original-Path", "X-Rewrite-URL"]
        headers = [[(name, elsewhere)] for name in names]
        headers += [[(name, f"{path}/echo")] for name in names]
        headers += [
            [("X-Original-URI", elsewhere), ("X-Forwarded-Uri", elsewhere)],
            [("X-Original-URI", f"{path}/echo"), ("X-Forwarded-Uri", elsewhere)],
            [("X-Original-URI", elsewhere), ("X-Original-URI", elsewhere)],
            [("X-Forwarded-Uri", elsewhere), ("X-Forwarded-Uri", f"{path}/echo")],
            [("X-Original-Method", "DELETE"), ("X-Forwarded-Method", "PUT")],
            [("X-Original-URI", f"{path}/../echo"), ("X-Forwarded-Uri", "\xff")],
            [("x_original_uri", elsewhere), ("x_forwarded_uri", elsewhere)],
        ]
        for said in headers:
            # The honest owner passes; nothing that they say opens another route to them, or this one to others.
            _, seen = await stage.passes(token, "GET", f"{path}/echo", said)
            equal(seen.target, f"{path}/echo", str(said))
            if other:
                answer = await stage.refused(f"{path}/echo", [other.bearer, *said])
                equal(answer.status, 403, str(said))
            equal((await stage.refused(f"{path}/echo", said)).status, 401, str(said))


async def header_bombs(stage):
    """Whatever a gateway does with too many headers, or too long ones: nobody passes as somebody else."""
    for _, path, token, _ in stage.rules():
        bombs = {
            "80 headers": [(f"x-bomb-{number}", "x" * 20) for number in range(80)],
            "100 headers": [(f"x-bomb-{number}", "x" * 20) for number in range(100)],
            "1,000 headers": [(f"x-bomb-{number}", "x") for number in range(1000)],
            "one of 60 KB": [("x-bomb", "x" * 60_000)],
            "one of 7 KB": [("x-bomb", "x" * 7_000)],
            "20 KB in three": [(f"x-bomb-{number}", "x" * 7_000) for number in range(3)],
            "a cookie of 14 KB": [("cookie", "x" * 14_000)],
            "a token of 7 KB": [],
            "1,000 identities": [("x-gatekey-token-tenant", "evil")] * 1000,
            "many authorizations": [("authorization", "Bearer x")] * 50,
        }
        for name, bomb in bombs.items():
            for bearer in [token.bearer, ("authorization", f"Bearer {token.value}{'x' * 7000}"), None]:
                mark = new_mark()
                headers = [*([bearer] if bearer else []), *bomb, ("x-mark", mark)]
                answer = await stage.front.ask("GET", f"{path}/echo", headers)
                seen = stage.http.seen(mark)
                if bearer == token.bearer and answer.status == 200:
                    equal(len(seen), 1, name)
                    is_of(seen[0].headers, token, stage.gatekey.TENANT)
                else:
                    expect(400 <= answer.status < 600, f"{name}: {answer.status}")
                    equal(len(seen), 0, f"{name}: how often the service was asked")
        # What is not too much, passes.
        for name in ["80 headers", "one of 7 KB", "a cookie of 14 KB"]:
            await stage.passes(token, "GET", f"{path}/echo", bombs[name])
