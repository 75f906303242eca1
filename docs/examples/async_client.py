"""Pin many CIDs at the same time, then follow what happens to the pinset until all are where they should be.

python async_client.py HOST CID...       HOST: a multiaddr or URL
"""

import asyncio
import sys

from ipfs_cluster.client import AsyncClient, ClientError


async def main(host: str, *cids: str) -> None:
    async with AsyncClient(host) as cluster:
        async with asyncio.TaskGroup() as group:
            for cid in cids:
                group.create_task(cluster.pin(cid, name="many"))
        waiting = set(cids)
        async for event in cluster.watch():
            if event.pin is not None and event.cid in waiting:
                status = await cluster.wait_for(event.cid, timeout=60)
                print(
                    f"{event.cid} is pinned on {sum(info.status == 'pinned' for info in status.peers.values())} peers"
                )
                waiting.remove(event.cid)
            if not waiting:
                break


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except* ClientError as errors:
        sys.exit("\n".join(f"error: {error}" for error in errors.exceptions))
