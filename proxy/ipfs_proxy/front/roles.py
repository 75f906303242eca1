"""Which role each RPC command needs: the table, of all commands of Kubo 0.43. Sans-IO.

Whatever is not here needs ADMIN: commands of other versions, parents of commands, pages outside `/api/v0`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ipfs_cluster.security import Role
from ipfs_proxy.front.routes import API_PREFIX

_READ = """
bitswap/ledger bitswap/stat bitswap/wantlist block/get block/stat cat
cid/base32 cid/bases cid/codecs cid/format cid/hashes cid/inspect
commands commands/completion/bash commands/completion/fish commands/completion/zsh
dag/export dag/get dag/resolve dag/stat dht/findpeer dht/findprovs dht/get dht/query diag/healthy
files/ls files/read files/stat get id ls
multibase/decode multibase/encode multibase/list multibase/transcode
name/get name/inspect name/resolve object/data object/diff object/get object/links object/stat
pin/ls pin/verify ping provide/stat refs refs/local repo/ls repo/stat repo/version resolve
routing/findpeer routing/findprovs routing/get
stats/bitswap stats/bw stats/dht stats/provide stats/repo stats/reprovide
swarm/addrs swarm/addrs/autonat swarm/addrs/listen swarm/addrs/local swarm/peering/ls swarm/peers swarm/resources
version/check version/deps
"""
_ADD = "add block/put dag/import dag/put"
_PIN = "pin/add pin/rm pin/update"
_ADMIN = """
bitswap/reprovide block/rm bootstrap bootstrap/add bootstrap/list bootstrap/rm bootstrap/rm/all
config config/edit config/profile/apply config/replace config/show dht/provide dht/put
diag/cmds diag/cmds/clear diag/cmds/set-time diag/datastore/count diag/datastore/get diag/datastore/put diag/profile
diag/sys files/chcid files/chmod files/chroot files/cp files/flush files/mkdir files/mv files/rm files/touch files/write
filestore/dups filestore/ls filestore/verify
key/export key/gen key/import key/list key/ls key/rename key/rm key/rotate key/sign key/verify log/level log/ls log/tail
mount name/publish name/pubsub/cancel name/pubsub/state name/pubsub/subs name/put
object/new object/patch/add-link object/patch/append-data object/patch/rm-link object/patch/set-data object/put
p2p/close p2p/forward p2p/listen p2p/ls p2p/stream/close p2p/stream/ls
pin/remote/add pin/remote/ls pin/remote/rm pin/remote/service/add pin/remote/service/ls pin/remote/service/rm
provide/clear provide/once pubsub/ls pubsub/peers pubsub/pub pubsub/reset pubsub/sub repo/gc repo/migrate repo/verify
routing/provide routing/put routing/reprovide shutdown
swarm/connect swarm/disconnect swarm/filters swarm/filters/add swarm/filters/rm swarm/peering/add swarm/peering/rm
update/check update/clean update/install update/revert update/versions
"""

ROLES: Mapping[str, Role | None] = MappingProxyType(
    {
        **dict.fromkeys(_READ.split(), Role.READ),
        **dict.fromkeys(_ADD.split(), Role.ADD),
        **dict.fromkeys(_PIN.split(), Role.PIN),
        **dict.fromkeys(_ADMIN.split(), Role.ADMIN),
        "version": None,
    }
)
"""Command → role; None: whoever has credentials, at whatever path, as in Kubo: every client asks for it first."""
LONGEST = max(name.count("/") + 1 for name in ROLES)


def role_of(path: str) -> Role | None:
    """The role for a decoded path: that of the longest command it begins with, since arguments may follow it."""
    command, arguments = command_of(path)
    if command == "version" and arguments:
        return Role.ADMIN
    return ROLES.get(command, Role.ADMIN)


def command_of(path: str) -> tuple[str, list[str]]:
    """The longest command of the table that a decoded path begins with, and the segments after it. A path of something
    else has no command.
    """
    if path.startswith(API_PREFIX):
        segments = path[len(API_PREFIX) :].split("/")
        for size in range(min(len(segments), LONGEST), 0, -1):
            name = "/".join(segments[:size])
            if name in ROLES:
                return name, segments[size:]
    return "", []
