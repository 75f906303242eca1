"""Which peers count, and when nothing may be concluded."""

from __future__ import annotations

import pytest

from ipfs_cluster.core.membership import Patience, PeerStanding, Sighting, brake, observe, standings, vanished_together
from ipfs_cluster.model import PeerId

PATIENCE = Patience(grace=300.0, settle=60.0, together=60.0)
LONG_AGO = -1000.0


def peers(*names: str) -> list[PeerId]:
    return [PeerId(name) for name in names]


A, B, C, D = peers("A", "B", "C", "D")


def seen(**since: float) -> dict[PeerId, Sighting]:
    """Peers by name: positive numbers are up since then, negative ones away since then."""
    return {PeerId(name): Sighting(at > 0, abs(at)) for name, at in since.items()}


def test_a_peer_counts_until_its_grace_is_over() -> None:
    sightings = seen(A=1, B=-100)

    before = standings(sightings, 399.9, PATIENCE, braked=False)
    after = standings(sightings, 400.0, PATIENCE, braked=False)

    assert (before[A], before[B]) == (PeerStanding.UP, PeerStanding.AWAY)
    assert after[B] is PeerStanding.GONE


def test_nobody_is_gone_while_the_brake_is_on() -> None:
    assert standings(seen(A=1, B=-100), 10_000, PATIENCE, braked=True)[B] is PeerStanding.AWAY


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("now", [200, 10_000])
def test_a_draining_peer_stays_draining_also_when_it_is_gone(up: bool, now: float) -> None:
    """So that what an operator asked for goes on, without the hourly budget, and while repair is switched off."""
    sightings = {A: Sighting(up, 100.0, draining=True)}
    assert standings(sightings, now, PATIENCE, braked=False)[A] is PeerStanding.DRAINING


@pytest.mark.parametrize(
    ("sightings", "together"),
    [
        (seen(A=1, B=1, C=-100), set()),
        (seen(A=1, B=-100, C=-160), {B, C}),
        (seen(A=1, B=-100, C=-161), set()),
        (seen(A=1, B=1, C=-100, D=-100), set()),
        (seen(A=1, B=-100, C=-100, D=-100), {B, C, D}),
        (seen(A=1, B=-10, C=-500, D=-500), {C, D}),
        (seen(A=-10, B=-500), set()),
        (seen(A=-10), set()),
    ],
)
def test_more_than_half_of_those_that_were_there_have_to_go_at_once(
    sightings: dict[PeerId, Sighting], together: set[PeerId]
) -> None:
    assert vanished_together(sightings, 60.0) == together


def test_the_brake_says_whether_it_is_an_outage_or_only_early() -> None:
    quiet = seen(A=1, B=1)
    outage = brake(seen(A=1, B=-100, C=-100), LONG_AGO, 200, PATIENCE)
    early = brake(quiet, 150.0, 209.9, PATIENCE)

    assert outage is not None
    assert outage.outage
    assert "2 of 3 peers" in outage.reason
    assert early is not None
    assert not early.outage
    assert brake(quiet, 150.0, 210.0, PATIENCE) is None


def test_a_look_keeps_the_time_at_which_a_peer_came_or_went() -> None:
    first = observe({}, up=[A, B], draining=[], peers=[A, B], now=10.0)
    second = observe(first, up=[A], draining=[A], peers=[A, B], now=20.0)
    third = observe(second, up=[A], draining=[], peers=[A, B], now=30.0)

    assert second == {A: Sighting(True, 10.0, draining=True), B: Sighting(False, 20.0)}
    assert third == {A: Sighting(True, 10.0), B: Sighting(False, 20.0)}
