import asyncio
import os
import sys

import websockets


async def main(url):
    async with websockets.connect(
        url, compression=None, max_size=None, subprotocols=["first", "second"]
    ) as ws:
        assert ws.subprotocol == "first", ws.subprotocol
        for size in [0, 1, 125, 126, 65535, 65536, 1 << 20]:
            text = "é" * (size // 2)
            await ws.send(text)
            assert await ws.recv() == text, size
            data = os.urandom(size)
            await ws.send(data)
            assert await ws.recv() == data, size
        await ws.send(["frag", "men", "ted"])  # one message in three frames
        assert await ws.recv() == "fragmented"
        for i in range(500):
            await ws.send(str(i))
        for i in range(500):
            assert await ws.recv() == str(i)
        await (await ws.ping(b"are you there"))
        await ws.close(4001, "bye")
        assert ws.close_code == 4001, ws.close_code
    print("ok")


asyncio.run(asyncio.wait_for(main(sys.argv[1]), 50))
