"""Whatever clients, nodes and the machine do, in whatever order steps take place: what the cluster then has is what its
answers said, by a model that is dumb on purpose.
"""

from __future__ import annotations

from contextlib import ExitStack
from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from cluster_tests.scenarios.play import Play
from cluster_tests.scenarios.run import driven
from ipfs_cluster.stores.memory import MemoryStore
from ipfs_cluster.testing.simulation import Killed

cids = st.sampled_from("AB")
nodes = st.sampled_from(["n1", "n2", "n3"])
options = st.sampled_from(
    ["", "direct", "name=x", "min=1 max=1", "min=3 max=3", "on=n2,n3", "wait=accepted", "wait=all"]
)
faults = st.sampled_from(
    ["down", "up", "silent", "speaks", "refuses {cid} blocked", "accepts-all", "loses {cid}", "breaks-adds broken"]
)


class AnyCourse(RuleBasedStateMachine):
    """Each rule is a command of the scenarios; steps that may take place at the same time do so in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._run = self._stack.enter_context(driven(MemoryStore))
        self._course: list[str] = []
        self._adds = 0

    @initialize(seed=st.integers(0, 2**16), replicas=st.sampled_from(["", "min=1 max=2", "min=2 max=2"]))
    def begin(self, seed: int, replicas: str) -> None:
        random = Random(seed)

        async def act(play: Play) -> None:
            play.sim.choose = lambda waiting: random.randrange(len(waiting))

        self._run(act)
        self._do(f"cluster peers=3 {replicas}")

    def _do(self, command: str) -> None:
        async def act(play: Play) -> None:
            try:
                await play.do(command)
            except Killed:
                await play.kill(carried_out=False)
                await play.start()
                await play.sim.settle()

        self._course.append(command)
        self._run(act)

    @rule(cid=cids, option=options)
    def pin(self, cid: str, option: str) -> None:
        self._do(f"pin {cid} {option}")

    @rule(cid=cids, node=nodes)
    def pin_that_a_node_refuses(self, cid: str, node: str) -> None:
        self._do(f"node {node} refuses {cid} blocked")
        self._do(f"pin {cid} on={node}")

    @rule(cid=cids, option=options)
    def pin_that_takes_too_long(self, cid: str, option: str) -> None:
        self._do(f"nobody {cid}")
        self._do(f"pin {cid} {option} timeout=5s")
        self._do("advance 6s")

    @rule(cid=cids)
    def unpin(self, cid: str) -> None:
        self._do(f"unpin {cid}")

    @rule(old=cids, new=cids, keep=st.sampled_from(["", "keep"]))
    def update(self, old: str, new: str, keep: str) -> None:
        if old != new:
            self._do(f"update {old} {new} {keep}")

    @rule(roots=st.lists(cids, min_size=1, max_size=2, unique=True), end=st.sampled_from(["", "cut"]))
    def add(self, roots: list[str], end: str) -> None:
        self._adds += 1
        self._do(f"add body{self._adds} {' '.join(roots)} {end}")

    @rule(node=nodes, fault=faults, cid=cids)
    def node(self, node: str, fault: str, cid: str) -> None:
        self._do(f"node {node} {fault.format(cid=cid)}")

    @rule(cid=cids, verb=st.sampled_from(["nobody", "publish"]))
    def content(self, cid: str, verb: str) -> None:
        self._do(f"{verb} {cid}")

    @rule(words=st.sampled_from(["advance 1s", "advance 20s", "clock -1h", "clock 1h", "collect", "restart"]))
    def other(self, words: str) -> None:
        self._do(words)

    @rule(carried_out=st.sampled_from(["", "carried-out"]))
    def crash(self, carried_out: str) -> None:
        self._do(f"crash {carried_out}")

    @rule(changes=st.integers(0, 8))
    def die_soon(self, changes: int) -> None:
        """So many changes from now the process is killed, in the middle of something."""

        async def act(play: Play) -> None:
            play.sim.kill_at = play.sim.changes + changes

        self._course.append(f"(die at change +{changes})")
        self._run(act)

    def teardown(self) -> None:
        async def act(play: Play) -> list[str]:
            play.sim.kill_at = None
            await play.heal()
            await play.rest()
            return await play.problems(healed=True)

        with self._stack:
            found = self._run(act)
        assert found == [], "\n".join(self._course)


TestAnyCourse = AnyCourse.TestCase
TestAnyCourse.settings = settings(
    max_examples=50, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
