"""A seeded stream of mixed requests on a pool of content."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from compat_tests.harness.http import directory_part, file_part
from compat_tests.soak.model import ABSENT, DIRECT, RECURSIVE

Part = tuple[str | None, bytes, str]


@dataclass(frozen=True, slots=True)
class Content:
    """Something that can be added: its parts, the names of its top-level entries and their CIDs."""

    parts: tuple[Part, ...]
    roots: tuple[tuple[str, str], ...]

    @property
    def cid(self) -> str:
        """The first root's."""
        return self.roots[0][1]


@dataclass(frozen=True, slots=True)
class Pool:
    """present: some node has it, unpinned. fresh: nobody has it before it is added. blocks: raw ones, nobody has them.
    missing: CIDs of nothing. fleeting: as present, and pinned for a few seconds only, always.
    """

    present: tuple[Content, ...]
    fresh: tuple[Content, ...]
    blocks: tuple[Content, ...]
    missing: tuple[str, ...]
    fleeting: tuple[Content, ...] = ()

    @property
    def cids(self) -> list[str]:
        """All that a storm touches."""
        contents = (*self.present, *self.fresh, *self.blocks, *self.fleeting)
        return [cid for content in contents for _, cid in content.roots] + list(self.missing)


@dataclass(frozen=True, slots=True)
class Step:
    """One request. changes: (CID, value) that success means. leave: the client goes away after so many seconds.
    lasts: seconds after which what it pins expires.
    """

    command: str
    query: tuple[tuple[str, str], ...] = ()
    parts: tuple[Part, ...] = ()
    roots: tuple[tuple[str, str], ...] = ()
    changes: tuple[tuple[str, str], ...] = ()
    leave: float | None = None
    lasts: float | None = None

    @property
    def arguments(self) -> list[str]:
        """The CIDs in the query."""
        return [value for name, value in self.query if name == "arg"]

    def option(self, name: str) -> str:
        """A query option, empty when absent."""
        return next((value for key, value in self.query if key == name), "")

    def __str__(self) -> str:
        names = ",".join(cid for _, cid in self.roots)
        left = "" if self.leave is None else f" (client leaves after {self.leave:.3f}s)"
        return f"{self.command}?{'&'.join(f'{name}={value}' for name, value in self.query)} {names}{left}"


@dataclass(frozen=True, slots=True)
class Taste:
    """replications: what pins may ask for instead of the default, as (min, max)."""

    replications: Sequence[tuple[int, int]] = ()
    deadlines: Sequence[str] = ("1ms", "20ms", "100ms", "400ms")


@dataclass
class Plan:
    """Draws steps. The same seed, pool and taste give the same stream."""

    seed: int
    pool: Pool
    taste: Taste = field(default_factory=Taste)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._kinds: Sequence[tuple[int, Callable[[], Step]]] = (
            (30, self._pin),
            (22, self._remove),
            (9, self._update),
            (17, self._add),
            (6, self._block),
            (4, self._hopeless),
            (4 if self.pool.fleeting else 0, self._fleeting),
            (2, self._listing),
            (5, self._lookup),
            (5, self._status),
        )

    def steps(self, count: int) -> Iterator[Step]:
        """So many requests."""
        weights = [weight for weight, _ in self._kinds]
        makers = [maker for _, maker in self._kinds]
        for _ in range(count):
            (maker,) = self._random.choices(makers, weights)
            yield maker()

    def positions(self, count: int, total: int) -> list[int]:
        """Random places in the stream, apart from its ends."""
        return sorted(self._random.sample(range(total // 20, total - total // 20), count))

    def chance(self, probability: float) -> bool:
        """True as often."""
        return self._random.random() < probability

    # --- requests ---

    def _cid(self) -> str:
        return self._random.choice(self.pool.present).cid

    def _any_cid(self) -> str:
        pool = self.pool
        content = self._random.choice((*pool.present, *pool.present, *pool.fresh, *pool.blocks))
        return self._random.choice(content.roots)[1]

    def _options(self) -> list[tuple[str, str]]:
        options: list[tuple[str, str]] = []
        if self.chance(0.2):
            options.append(("name", f"name-{self._random.randrange(50)}"))
        if self.taste.replications and self.chance(0.2):
            low, high = self._random.choice(self.taste.replications)
            options += [("replication-min", str(low)), ("replication-max", str(high))]
        return options

    def _leaves(self) -> float | None:
        return self._random.uniform(0, 0.05) if self.chance(0.02) else None

    def _pin(self) -> Step:
        count = 3 if self.chance(0.1) else 1
        cids = list(dict.fromkeys(self._cid() for _ in range(count)))
        direct = count == 1 and self.chance(0.1)
        query = [*[("arg", cid) for cid in cids], *self._options()]
        if direct:
            query.append(("recursive", "false"))
        if self.chance(0.2):
            query.append(("wait", self._random.choice(("accepted", "all"))))
        if self.chance(0.15):
            query.append(("timeout", self._random.choice(self.taste.deadlines)))
        if self.chance(0.1):
            query.append(("progress", "true"))
        value = DIRECT if direct else RECURSIVE
        return Step("pin/add", tuple(query), changes=tuple((cid, value) for cid in cids), leave=self._leaves())

    def _hopeless(self) -> Step:
        cid = self._random.choice(self.pool.missing)
        if self.chance(0.3):
            return Step("pin/rm", (("arg", cid),), changes=((cid, ABSENT),))
        if self.chance(0.2):
            return Step("pin/add", (("arg", cid), ("wait", "accepted")), changes=((cid, RECURSIVE),))
        query = (("arg", cid), *self._options(), ("timeout", self._random.choice(self.taste.deadlines)))
        return Step("pin/add", query, changes=((cid, RECURSIVE),))

    def _fleeting(self) -> Step:
        cid = self._random.choice(self.pool.fleeting).cid
        if self.chance(0.15):
            return Step("pin/rm", (("arg", cid),), changes=((cid, ABSENT),))
        seconds = self._random.choice((1.0, 1.5, 3.0))
        query = (("arg", cid), *self._options(), ("expire-in", f"{seconds * 1000:.0f}ms"))
        return Step("pin/add", query, changes=((cid, RECURSIVE),), lasts=seconds)

    def _remove(self) -> Step:
        count = 2 if self.chance(0.1) else 1
        cids = list(dict.fromkeys(self._any_cid() for _ in range(count)))
        query = [("arg", cid) for cid in cids]
        if count == 1 and self.chance(0.1):
            query.append(("recursive", "false"))
        if self.chance(0.05):
            query.append(("timeout", self._random.choice(self.taste.deadlines)))
        return Step("pin/rm", tuple(query), changes=tuple((cid, ABSENT) for cid in cids), leave=self._leaves())

    def _update(self) -> Step:
        old, new = self._any_cid(), self._cid()
        query = [("arg", old), ("arg", new)]
        changes = [(new, RECURSIVE)]
        if self.chance(0.2):
            query.append(("unpin", "false"))
        else:
            changes.append((old, ABSENT))
        if self.chance(0.1):
            query.append(("timeout", self._random.choice(self.taste.deadlines)))
        return Step("pin/update", tuple(query), changes=() if old == new else tuple(changes), leave=self._leaves())

    def _add(self) -> Step:
        content = self._random.choice((*self.pool.fresh, *self.pool.fresh, *self.pool.present))
        query = [("pin-name", "added")] if self.chance(0.2) else []
        if self.taste.replications and self.chance(0.2):
            low, high = self._random.choice(self.taste.replications)
            query += [("replication-min", str(low)), ("replication-max", str(high))]
        changes = tuple((cid, RECURSIVE) for _, cid in content.roots)
        return Step("add", tuple(query), content.parts, content.roots, changes, self._leaves())

    def _block(self) -> Step:
        block = self._random.choice(self.pool.blocks)
        return Step("block/put", (("pin", "true"),), block.parts, block.roots, ((block.cid, RECURSIVE),))

    # --- questions ---

    def _listing(self) -> Step:
        kind = self._random.choice((RECURSIVE, RECURSIVE, DIRECT))
        return Step("pin/ls", (("type", kind), ("stream", self._random.choice(("true", "false")))))

    def _lookup(self) -> Step:
        return Step("pin/ls", (("arg", self._any_cid()), ("type", RECURSIVE)))

    def _status(self) -> Step:
        return Step("status", (("arg", self._any_cid()),))


def single(name: str, content: bytes, cid: str) -> Content:
    """One file."""
    return Content((file_part(name, content),), ((name, cid),))


def folder(name: str, files: Sequence[tuple[str, bytes]], cid: str) -> Content:
    """One directory."""
    parts = (directory_part(name), *(file_part(f"{name}/{file}", content) for file, content in files))
    return Content(parts, ((name, cid),))


def several(contents: Sequence[Content]) -> Content:
    """Several top-level entries in one upload."""
    parts = tuple(part for content in contents for part in content.parts)
    return Content(parts, tuple(root for content in contents for root in content.roots))
