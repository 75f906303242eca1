"""Help and completions for shells, made from the command line itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ipfs_cluster.ctl.context import Answers, Arguments, Context

BASH = """\
_ipfs_cluster_ctl() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} path="" part words=""
    for part in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$path $part" in
{steps}
        esac
    done
    case "$path" in
{words}
    esac
    case "$word" in
        -*) ;;
        *)
            case "$path" in
{members}
                *) words="" ;;
            esac ;;
    esac
    case "$path $before" in
{values}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    [ -n "$words" ] && return
    local IFS=$'\n'  # names of files may have spaces in them
    COMPREPLY=($(compgen -f -- "$word"))
}}
complete -o filenames -F _ipfs_cluster_ctl ipfs-cluster-ctl
"""


def help_of(arguments: Arguments, context: Context) -> Answers:
    """How a group of commands is used."""
    text = arguments.group.format_help()
    yield text, text.rstrip("\n")


def commands(arguments: Arguments, context: Context) -> Answers:
    """All commands, groups before their members."""
    names = [" ".join(["ipfs-cluster-ctl", *path]) for path, _ in walk(arguments.top) if path]
    yield names, "\n".join(names)


def completion(arguments: Arguments, context: Context) -> Answers:
    """The script."""
    text = SHELLS[arguments.shell](arguments.top)
    yield text, text.rstrip("\n")


def walk(
    top: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Each command's words and its parser, depth first."""
    yield path, top
    for name, parser in _members(top).items():
        yield from walk(parser, (*path, name))


def _members(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= action.choices
    return found


def _flags(parser: argparse.ArgumentParser) -> list[tuple[list[str], str]]:
    """Names and help of each flag."""
    return [(list(action.option_strings), action.help or "") for action in parser._actions if action.option_strings]


def _choices(parser: argparse.ArgumentParser) -> list[str]:
    """What may stand at a place of its own: members of a group, and what a positional argument is one of."""
    chosen = [action.choices for action in parser._actions if action.choices and not action.option_strings]
    return [str(choice) for choices in chosen for choice in choices]


def _values(parser: argparse.ArgumentParser) -> list[tuple[str, list[str]]]:
    """Flags whose value is one of a few, and those."""
    return [
        (name, [str(choice) for choice in action.choices if choice])
        for action in parser._actions
        if action.choices
        for name in action.option_strings
    ]


def _bash(top: argparse.ArgumentParser) -> str:
    paths = list(walk(top))
    steps = "\n".join(
        f'            "{_joined(path[:-1])} {path[-1]}") path="{_joined(path)}" ;;' for path, _ in paths if path
    )
    words = [(f'"{_joined(path)}"', [name for names, _ in _flags(parser) for name in names]) for path, parser in paths]
    members = [(f'"{_joined(path)}"', found) for path, parser in paths if (found := _choices(parser))]
    values = [(f'"{_joined(path)} {name}"', found) for path, parser in paths for name, found in _values(parser)]
    return BASH.format(steps=steps, words=_cases(words, 8), members=_cases(members, 16), values=_cases(values, 8))


def _cases(cases: list[tuple[str, list[str]]], indent: int) -> str:
    return "\n".join(f'{" " * indent}{pattern}) words="{" ".join(words)}" ;;' for pattern, words in cases)


def _joined(path: tuple[str, ...]) -> str:
    return "".join(f" {part}" for part in path)


def _zsh(top: argparse.ArgumentParser) -> str:
    return f"autoload -U +X bashcompinit && bashcompinit\n{_bash(top)}"


def _fish(top: argparse.ArgumentParser) -> str:
    lines = ["complete -c ipfs-cluster-ctl -e"]
    for path, parser in walk(top):
        members = _members(parser)
        seen = "; and ".join(f"__fish_seen_subcommand_from {part}" for part in path) or "__fish_use_subcommand"
        unseen = f"; and not __fish_seen_subcommand_from {' '.join(members)}" if members and path else ""
        start = f'complete -c ipfs-cluster-ctl -n "{seen}{unseen}"'
        lines += [f"{start} -f -a {name}" for name in members]
        for names, text in _flags(parser):
            spelled = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in names)
            lines.append(f"{start} {spelled} -d {_quoted(text)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("%%", "%").replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
