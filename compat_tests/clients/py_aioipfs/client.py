"""Drives aioipfs against one address and prints what it saw as JSON lines."""

import asyncio
import json
import sys

import aioipfs


async def step(name, work):
    try:
        print(json.dumps({"step": name, "value": await work()}))
    except aioipfs.APIError as error:
        print(json.dumps({"step": name, "error": f"{type(error).__name__}: {error.message}"}))


async def collect(source):
    return [value async for value in source]


async def main():
    client = aioipfs.AsyncIPFS(maddr=sys.argv[1])
    if sys.argv[2] == "add":

        async def last():
            return [entry["Hash"] for entry in await collect(client.add(sys.argv[3])) if entry.get("Hash")][-1]

        await step("add only", last)
        await client.close()
        return
    added = (await client.add_bytes(b"from aioipfs\n"))["Hash"]

    async def value(work):
        return await work

    await step("version", lambda: client.core.version())
    await step("add", lambda: value(asyncio.sleep(0, added)))

    async def names():
        return sorted([entry["Name"], entry["Hash"]] for entry in await collect(client.add(sys.argv[2])))

    await step("add dir", names)

    async def pinned():
        return [entry.get("Pins") for entry in await collect(client.pin.add(added)) if entry.get("Pins")]

    await step("pin add", pinned)

    async def listed():
        return (await client.pin.ls(added))["Keys"]

    await step("pin ls", listed)

    async def content():
        return (await client.cat(added)).decode()

    await step("cat", content)
    await step("pin rm", lambda: client.pin.rm(added))
    await step("pin rm again", lambda: client.pin.rm(added))
    await step("pin ls unpinned", lambda: client.pin.ls(added))
    await client.close()


asyncio.run(main())
