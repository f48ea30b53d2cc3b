# Sends every message of a folder over one WebSocket, compares what comes back,
# pings and closes. As a client: drive.py client URL FOLDER OPTIONS; as a server,
# which prints its port first: drive.py server FOLDER OPTIONS. With files in TLS_CERT
# and TLS_KEY the server speaks TLS.
import asyncio
import json
import os
import ssl
import sys

import websockets
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

args = sys.argv[1:]
role = args.pop(0)
url = args.pop(0) if role == "client" else ""
folder, options = args[0], json.loads(args[1])
messages = []
for name in sorted(os.listdir(folder)):
    with open(os.path.join(folder, name), "rb") as f:
        messages.append((".binary" in name, name.endswith(".split"), f.read()))


def pieces(m):
    a = len(m) // 3
    return [m[:a], m[a : 2 * a], m[2 * a :]]


async def drive(ws):
    for binary, split, data in messages:
        m = data if binary else data.decode()
        await ws.send(pieces(m) if split else m)
        assert await ws.recv() == m, len(data)
    await (await ws.ping("are you there"))
    await ws.close(1000, "goodbye")
    assert ws.close_code == 1000, ws.close_code


def secure():
    if "TLS_CERT" not in os.environ:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(os.environ["TLS_CERT"], os.environ["TLS_KEY"])
    return context


def extensions(factory):
    if options is None:
        return None
    if role == "server" and options.get("client_max_window_bits") is True:
        del options["client_max_window_bits"]  # a client's way to say that it may be asked
    return [factory(**options)]


async def client():
    async with websockets.connect(
        url, compression=None, max_size=None, extensions=extensions(ClientPerMessageDeflateFactory)
    ) as ws:
        await drive(ws)


async def server():
    over = asyncio.get_running_loop().create_future()

    async def handler(ws, *_):
        try:
            await drive(ws)
            over.set_result(None)
        except BaseException as e:
            over.set_exception(e)
            raise

    async with websockets.serve(
        handler, "127.0.0.1", 0, compression=None, max_size=None, ssl=secure(),
        extensions=extensions(ServerPerMessageDeflateFactory),
    ) as s:
        print("port", s.sockets[0].getsockname()[1], flush=True)
        await over


asyncio.run(asyncio.wait_for(client() if role == "client" else server(), 50))
print("ok")
