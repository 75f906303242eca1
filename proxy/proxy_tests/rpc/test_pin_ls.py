"""pin/ls, pin/rm and pin/update in Kubo's shapes and texts."""

from __future__ import annotations

import json

import pytest

from cluster_tests.engine.conftest import World, cid
from ipfs_cluster.cid import text, text_in
from proxy_tests.rpc.kitchen import Kitchen, TreeNode, lines_body

A, B, C, D = sorted(text(cid(number)) for number in range(1, 5))
CIDS = {text(cid(number)): cid(number) for number in range(1, 5)}
LOST = text(cid(1000))


async def filled(kitchen: Kitchen) -> None:
    """A recursive with a name, B recursive, C direct."""
    await kitchen.ask("pin/add", f"arg={A}&name=%3Cone%3E")
    await kitchen.ask("pin/add", f"arg={B}")
    await kitchen.ask("pin/add", f"arg={C}&recursive=false&name=tone")


async def test_an_empty_set(kitchen: Kitchen) -> None:
    for query, body in (("", "{}\n"), ("stream=true", ""), ("encoding=text", ""), ("type=direct", "{}\n")):
        answer = await kitchen.ask("pin/ls", query)
        assert (answer.status, answer.text) == (200, body)
        assert answer.headers == ({"X-Chunked-Output": "1"} if query == "stream=true" else {})


async def test_one_object_with_sorted_keys(kitchen: Kitchen) -> None:
    await filled(kitchen)
    answer = await kitchen.ask("pin/ls")
    assert answer.text == (
        f'{{"Keys":{{"{A}":{{"Type":"recursive","Name":""}},"{B}":{{"Type":"recursive","Name":""}},'
        f'"{C}":{{"Type":"direct","Name":""}}}}}}\n'
    )
    named = await kitchen.ask("pin/ls", "names=true&type=recursive")
    assert f'"{A}":{{"Type":"recursive","Name":"\\u003cone\\u003e"}}' in named.text
    assert json.loads(named.text)["Keys"][B] == {"Type": "recursive", "Name": ""}


async def test_a_stream_has_one_value_a_line(kitchen: Kitchen) -> None:
    await filled(kitchen)
    answer = await kitchen.ask("pin/ls", "stream=1&names=1")
    assert answer.headers == {"X-Chunked-Output": "1"}
    assert set(answer.text.splitlines()) == {
        f'{{"Cid":"{A}","Name":"\\u003cone\\u003e","Type":"recursive"}}',
        f'{{"Cid":"{B}","Type":"recursive"}}',
        f'{{"Cid":"{C}","Name":"tone","Type":"direct"}}',
    }
    assert answer.text.endswith(f'"{C}","Name":"tone","Type":"direct"}}\n'), "recursive before direct"
    plain = await kitchen.ask("pin/ls", "s=1&t=direct")
    assert plain.text == f'{{"Cid":"{C}","Type":"direct"}}\n'


async def test_text(kitchen: Kitchen) -> None:
    await filled(kitchen)
    answer = await kitchen.ask("pin/ls", "encoding=text&names=1")
    assert answer.text == f"{A} recursive <one>\n{B} recursive\n{C} direct tone\n"
    quiet = await kitchen.ask("pin/ls", "enc=text&q=1")
    assert quiet.text == f"{A}\n{B}\n{C}\n"


async def test_names_are_searched_by_substring_and_shown(kitchen: Kitchen) -> None:
    await filled(kitchen)
    answer = await kitchen.ask("pin/ls", "name=one")
    assert json.loads(answer.text)["Keys"] == {
        A: {"Type": "recursive", "Name": "<one>"},
        C: {"Type": "direct", "Name": "tone"},
    }
    assert (await kitchen.ask("pin/ls", "name=One")).text == "{}\n"
    assert (await kitchen.ask("pin/ls", "name=" + "x" * 300)).error == "pin name is 300 bytes (max 255 bytes)"


@pytest.mark.parametrize("query", ["type=x", "type=any", "type=", "type=internal"])
async def test_a_type_that_does_not_exist(kitchen: Kitchen, query: str) -> None:
    kind = query.partition("=")[2]
    error = f"invalid type '{kind}', must be one of {{direct, indirect, recursive, all}}"
    assert (await kitchen.ask("pin/ls", query)).error == error


async def test_indirect_pins_come_last_each_once_and_not_if_they_are_pins_too(
    kitchen: Kitchen, world: World, home: TreeNode
) -> None:
    await filled(kitchen)
    home.children = {CIDS[D]: CIDS[A], CIDS[C]: CIDS[A]}
    other = world.nodes[1]
    assert isinstance(other, TreeNode)
    other.children = {CIDS[D]: CIDS[B]}
    stream = await kitchen.ask("pin/ls", "stream=1")
    assert stream.text.splitlines()[-1] == f'{{"Cid":"{D}","Type":"indirect"}}'
    assert len(stream.values) == 4
    whole = await kitchen.ask("pin/ls")
    keys = json.loads(whole.text)["Keys"]
    assert list(keys) == [A, B, C, D]
    assert (keys[C]["Type"], keys[D]["Type"]) == ("direct", "indirect")
    for query in ("type=indirect", "type=indirect&stream=1"):
        assert [cid_ for cid_ in (A, B, C, D) if cid_ in (await kitchen.ask("pin/ls", query)).text] == [D]
    assert D not in (await kitchen.ask("pin/ls", "type=recursive")).text
    assert D not in (await kitchen.ask("pin/ls", "name=o")).text
    without = Kitchen(world, indirect=False)
    assert D not in (await without.ask("pin/ls")).text
    assert D in (await without.ask("pin/ls", "type=indirect")).text


# --- with arguments ---


async def test_arguments(kitchen: Kitchen, home: TreeNode) -> None:
    await filled(kitchen)
    home.paths["/ipns/x"] = CIDS[B]
    home.children = {CIDS[D]: CIDS[A]}
    answer = await kitchen.ask("pin/ls", f"arg={C}&arg=/ipns/x&arg={C}&names=1&paths={A}")
    assert answer.text == (
        f'{{"Keys":{{"{B}":{{"Type":"recursive","Name":""}},"{C}":{{"Type":"direct","Name":"tone"}}}}}}\n'
    )
    for kind in ("all", "any", "indirect"):
        indirect = await kitchen.ask("pin/ls", f"arg={D}&type={kind}")
        assert json.loads(indirect.text)["Keys"] == {D: {"Type": f"indirect through {A}", "Name": ""}}
    stream = await kitchen.ask("pin/ls", f"arg={C}&arg={A}&stream=1")
    assert stream.values == [{"Cid": C, "Type": "direct"}, {"Cid": A, "Type": "recursive"}]
    assert (await kitchen.ask("pin/ls", "", tail=[A])).text.count(A) == 1


@pytest.mark.parametrize("encoding", ["json", "text"])
async def test_one_that_is_not_pinned_fails_the_whole_single_value(kitchen: Kitchen, encoding: str) -> None:
    await filled(kitchen)
    answer = await kitchen.ask("pin/ls", f"arg={A}&arg=/ipfs/{LOST}&encoding={encoding}")
    assert (answer.status, answer.failure) == (500, None)
    assert f"path '/ipfs/{LOST}' is not pinned" in answer.text
    for query in (f"arg={A}&type=direct", f"arg={A}&type=indirect", f"arg={C}&type=recursive"):
        wanted = query.partition("&")[0].removeprefix("arg=")
        assert (await kitchen.ask("pin/ls", query)).error == f"path '{wanted}' is not pinned"


async def test_in_a_stream_the_ones_before_it_are_shown(kitchen: Kitchen) -> None:
    await filled(kitchen)
    answer = await kitchen.ask("pin/ls", f"arg={A}&arg={LOST}&stream=1")
    assert (answer.status, answer.failure) == (200, f"path '{LOST}' is not pinned")
    assert answer.values == [{"Cid": A, "Type": "recursive"}]
    first = await kitchen.ask("pin/ls", f"arg={LOST}&stream=1")
    assert first.error == f"path '{LOST}' is not pinned"


async def test_a_path_that_does_not_resolve(kitchen: Kitchen) -> None:
    answer = await kitchen.ask("pin/ls", "arg=foo")
    assert answer.error == 'invalid path "foo": path does not have enough components'


async def test_cid_base_is_for_every_form(kitchen: Kitchen) -> None:
    await kitchen.ask("pin/add", f"arg={A}")
    shown = text_in(CIDS[A], "base36")
    for query in ("", "&stream=1", "&encoding=text", f"&arg={A}"):
        answer = await kitchen.ask("pin/ls", f"cid-base=base36{query}")
        assert shown in answer.text
        assert A not in answer.text


async def test_a_node_that_is_away_when_indirect_pins_are_asked_for(kitchen: Kitchen, home: TreeNode) -> None:
    await filled(kitchen)

    home.broken = "connection lost"
    assert (await kitchen.ask("pin/ls")).error == "connection lost"
    stream = await kitchen.ask("pin/ls", "stream=1")
    assert (stream.status, stream.failure, len(stream.values)) == (200, "connection lost", 3)


# --- pin/rm ---


async def test_rm_answers_with_what_is_gone(kitchen: Kitchen, world: World) -> None:
    await filled(kitchen)
    answer = await kitchen.ask("pin/rm", f"arg={B}", lines_body(f"{A}\n{C}".encode()))
    assert (answer.text, answer.headers) == (f'{{"Pins":["{B}","{A}","{C}"]}}\n', {})
    assert world.holders(CIDS[A]) == world.holders(CIDS[C]) == []
    await kitchen.ask("pin/add", f"arg={A}")
    assert (await kitchen.ask("pin/rm", f"arg={A}&encoding=text")).text == f"unpinned {A}\n"


async def test_rm_stops_at_the_first_that_fails(kitchen: Kitchen, world: World) -> None:
    await filled(kitchen)
    answer = await kitchen.ask("pin/rm", f"arg={A}&arg={LOST}&arg={B}")
    assert answer.error == "not pinned or pinned indirectly"
    assert (world.holders(CIDS[A]), world.holders(CIDS[B])) == ([], [0, 1, 2])
    assert (await kitchen.ask("pin/rm", f"arg={B}&arg={B}")).error == "not pinned or pinned indirectly"
    assert world.holders(CIDS[B]) == []
    assert (await kitchen.ask("pin/rm", f"arg={C}&arg=foo")).error.startswith('invalid path "foo"')
    assert world.holders(CIDS[C]) == []


async def test_rm_of_another_mode(kitchen: Kitchen, world: World) -> None:
    await filled(kitchen)
    answer = await kitchen.ask("pin/rm", f"arg={A}&recursive=false&cid-base=base36")
    assert answer.error == f"{A} is pinned recursively"
    assert world.holders(CIDS[A]) == [0, 1, 2]
    assert (await kitchen.ask("pin/rm", f"arg={C}&recursive=true")).status == 200
    assert (await kitchen.ask("pin/rm", "")).text == 'argument "ipfs-path" is required\n'


# --- pin/update ---


async def test_update_moves_the_pin(kitchen: Kitchen, world: World) -> None:
    await filled(kitchen)
    answer = await kitchen.ask("pin/update", f"arg={A}&arg={D}&arg=surplus")
    assert (answer.text, answer.headers) == (f'{{"Pins":["{A}","{D}"]}}\n', {})
    assert (world.holders(CIDS[A]), world.holders(CIDS[D])) == ([], [0, 1, 2])
    listed = json.loads((await kitchen.ask("pin/ls", "names=1")).text)["Keys"]
    assert listed[D] == {"Type": "recursive", "Name": "<one>"}
    kept = await kitchen.ask("pin/update", f"arg={B}&arg={A}&unpin=false&encoding=text")
    assert kept.text == f"updated {B} to {A}\n"
    assert world.holders(CIDS[B]) == [0, 1, 2]


async def test_update_to_itself_is_nothing(kitchen: Kitchen, world: World) -> None:
    await filled(kitchen)
    assert (await kitchen.ask("pin/update", f"arg={A}&arg={A}")).values == [{"Pins": [A, A]}]
    assert world.holders(CIDS[A]) == [0, 1, 2]


async def test_update_texts(kitchen: Kitchen) -> None:
    await filled(kitchen)
    assert (await kitchen.ask("pin/update", "")).text == 'argument "from-path" is required\n'
    assert (await kitchen.ask("pin/update", f"arg={A}")).text == 'argument "to-path" is required\n'
    error = (await kitchen.ask("pin/update", f"arg={LOST}&arg={D}")).error
    assert error == "'from' cid was not recursively pinned already"


async def test_a_deadline_of_update_leaves_things_as_they_were(kitchen: Kitchen, world: World) -> None:
    await filled(kitchen)
    answer = await kitchen.ask("pin/update", f"arg={A}&arg={LOST}&timeout=1ms")
    assert answer.error == "context deadline exceeded"
    assert world.cluster is not None
    assert await world.cluster.views.get(cid(1000)) is None
    assert world.holders(CIDS[A]) == [0, 1, 2]
