"""Passes TCP connections on to another port for as long as it runs; killed, all of them are gone: relay.py PORT TARGET_PORT"""

import asyncio
import sys

PORT, TARGET = map(int, sys.argv[1:])


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def passed_on(reader, writer):
    try:
        there, back = await asyncio.open_connection("127.0.0.1", TARGET)
    except OSError:
        writer.close()
        return
    await asyncio.gather(pump(reader, back), pump(there, writer))


async def main():
    server = await asyncio.start_server(passed_on, "127.0.0.1", PORT, reuse_address=True)
    await server.serve_forever()


asyncio.run(main())
