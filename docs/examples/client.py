"""Add a file or folder, wait until it is where it should be, list what the cluster has of that name.

python client.py PATH [HOST]       HOST: a multiaddr or URL, /ip4/127.0.0.1/tcp/9094 if none is given
"""

import sys

from ipfs_cluster.client import Client, ClientError


def main(path: str, *hosts: str) -> None:
    with Client(*hosts) as cluster:
        *_, root = cluster.add(path, name="example", metadata={"from": "client.py"})
        status = cluster.wait_for(root.cid, timeout=60)
        holders = [info.peername for info in status.peers.values() if info.status == "pinned"]
        print(f"{root.cid} {root.name} is held by {', '.join(holders)}")
        for pin in cluster.allocations(name="example"):
            print(f"{pin.cid} {pin.name} since {pin.timestamp:%Y-%m-%d %H:%M}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ClientError as error:
        sys.exit(f"error: {error}")
