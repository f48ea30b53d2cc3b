# Connects, or serves one connection, and prints how it is closed by the other
# side: told.py client URL, or told.py server, which prints its port first.
import asyncio
import sys

import websockets


async def listen(ws):
    await ws.send("hello")
    await ws.wait_closed()
    print("closed", ws.close_code, ws.close_reason)


async def client():
    async with websockets.connect(sys.argv[2]) as ws:
        await listen(ws)


async def server():
    over = asyncio.get_running_loop().create_future()

    async def handler(ws, *_):
        await listen(ws)
        over.set_result(None)

    async with websockets.serve(handler, "127.0.0.1", 0) as s:
        print("port", s.sockets[0].getsockname()[1], flush=True)
        await over


asyncio.run(asyncio.wait_for(client() if sys.argv[1] == "client" else server(), 50))
