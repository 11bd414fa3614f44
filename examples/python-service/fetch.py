"""A service that waits for many others at once: an event loop holds a thousand tasks in one child.

    tasklane up --subprocess 'net/fetch=python3 examples/python-service/fetch.py'
    tasklane submit --user ada --mode net --service fetch --name head --wait \\
        --input '{"host": "127.0.0.1", "port": 8080}'

It speaks HTTP by hand, so that it needs no package; a real one takes httpx or aiohttp. The hosts are the
caller's choice: give it to nobody who must not reach your network.
"""

import asyncio
from typing import Dict, Union

from tasklane import AsyncContext, Service, TaskError

service = Service(version="1", max_inflight=1000)

LONGEST_LINE_BYTES = 64 << 10


@service(soft_time_limit=10, time_limit=15)
async def head(ctx: AsyncContext, host: str, port: int = 80, path: str = "/") -> Dict[str, Union[int, str]]:
    """The status and headers of an HTTP resource."""
    try:
        reader, writer = await asyncio.open_connection(host, port, limit=LONGEST_LINE_BYTES)
    except OSError as error:
        raise TaskError("connect to %s:%d: %s" % (host, port, error), retryable=True) from error
    try:
        writer.write(("HEAD %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, host)).encode("ascii"))
        await writer.drain()
        ctx.progress(50, message="asked")
        status = (await reader.readline()).split(b" ", 2)
        if len(status) < 2 or not status[1].isdigit():
            raise TaskError("%s:%d does not speak HTTP" % (host, port))
        return {"status": int(status[1]), "server": await _server(reader)}
    finally:
        writer.close()


async def _server(reader: asyncio.StreamReader) -> str:
    """What the server calls itself."""
    while True:
        name, _, value = (await reader.readline()).decode("latin-1").partition(":")
        if name.lower() == "server":
            return value.strip()
        if not name.strip():
            return ""


if __name__ == "__main__":
    service.run()
