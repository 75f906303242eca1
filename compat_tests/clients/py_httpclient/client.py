"""Drives ipfshttpclient against one address and prints what it saw as JSON lines."""

import json
import sys
import warnings

warnings.simplefilter("ignore")

import ipfshttpclient


def step(name, work):
    try:
        print(json.dumps({"step": name, "value": work()}))
    except ipfshttpclient.exceptions.Error as error:
        print(json.dumps({"step": name, "error": str(error)}))


client = ipfshttpclient.connect(sys.argv[1])
if sys.argv[2] == "add":
    step("add only", lambda: client.add(sys.argv[3]).as_json()["Hash"])
    sys.exit()
added = client.add_bytes(b"from ipfshttpclient\n")
step("add", lambda: added)
step("add file", lambda: client.add(sys.argv[2] + "/x").as_json()["Hash"])
step("add dir", lambda: [(e["Name"].split("/")[-1], e["Hash"]) for e in client.add(sys.argv[2], recursive=True)])
step("pin ls one", lambda: client.pin.ls(added)["Keys"].as_json())
step("pin add", lambda: client.pin.add(added)["Pins"])
step("cat", lambda: client.cat(added).decode())
step("pin rm", lambda: client.pin.rm(added)["Pins"])
step("pin rm again", lambda: client.pin.rm(added))
step("pin ls unpinned", lambda: client.pin.ls(added))
step("pin nonsense", lambda: client.pin.add("nonsense"))
step("pin update", lambda: (client.pin.add(added), client.pin.update(added, client.add_str("another\n"))["Pins"])[1])
step("files", lambda: client.files.mkdir("/py") or client.files.rm("/py", recursive=True))
step("id", lambda: len(client.id()["ID"]))
