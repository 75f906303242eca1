"""One storm from its first request to its verdict."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from compat_tests.soak.storm import Fault, Storm
from compat_tests.soak.verify import check_log, check_store, settle

SETTLE = 60.0


async def endure(storm: Storm, requests: int, kills: int, faults: Sequence[Fault], weather: str) -> None:
    """So many requests while the service is killed so often. Fails with everything that contradicts the model; the
    seed, the faults and the end of the service's log are part of the message.
    """
    positions = storm.plan.positions(kills, requests)
    deaths = [Fault(at, "kill the service", storm.kill_service) for at in positions]
    try:
        await storm.run(requests, [*deaths, *faults])
        state = await settle(storm, SETTLE)
        wrong = storm.history.contradictions()
        assert await asyncio.to_thread(storm.service.stop) == 0
        wrong += await check_store(storm, state)
        wrong += check_log(storm)
        assert not wrong, "\n".join(wrong[:8])
    except BaseException as error:
        log = storm.service.child.output()[-3000:] if storm.service.child else ""
        error.add_note(f"seed {storm.plan.seed}, {weather}\n" + "\n".join(storm.log) + f"\n{log}")
        raise
    finally:
        for node in storm.nodes:
            await node.resume()


def node_faults(storm: Storm, weather: str, first: int, last: int) -> list[Fault]:
    """What happens to a node, not the home one, between two places in the stream."""
    victim = random.Random(storm.plan.seed + first).randrange(1, len(storm.nodes))
    node = storm.nodes[victim]

    async def lose() -> None:
        storm.taken += await node.lose()

    match weather:
        case "a node is killed":
            return [Fault(first, f"kill n{victim}", node.kill), Fault(last, f"start n{victim}", node.start)]
        case "a node hangs":
            return [Fault(first, f"stop n{victim}", node.suspend), Fault(last, f"go n{victim}", node.resume)]
        case _:
            return [Fault(first, f"n{victim} loses pins", lose)]
