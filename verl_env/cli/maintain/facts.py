"""``verl-env facts``: the hardware tables against their machine-readable sources (maintainers)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.cli.console import print_json, stdout_console
from verl_env.errors import EXIT_NO, EXIT_OK, UsageError
from verl_env.reading import what_is
from verl_env.records import as_dict

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from verl_env.facts.check import SourceAnswer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env facts``."""
    parser.add_argument("action", choices=("check",), help="compare, and exit 1 where a table differs")
    parser.add_argument("--pci-ids", metavar="FILE", help="a pci.ids, instead of this host's or the project's own")
    parser.add_argument("--drivers", metavar="FILE", help="NVIDIA's releases.json of data centre drivers")
    parser.add_argument("--amdgpu", metavar="FILE", help="AMD's compatibility matrix of amdgpu and ROCm")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def main(args: argparse.Namespace) -> int:
    """Compares and tells."""
    from verl_env.facts.check import check
    from verl_env.installers.configured import configured_index
    from verl_env.locksets.index import Index

    for named in (args.pci_ids, args.drivers, args.amdgpu):
        if named is not None and "://" not in named and (found := what_is(named)) != "a file":
            raise UsageError(f"{named} is {found}, and a file or an address is wanted", command="verl-env facts --help")
    answers = check(Index(configured_index()), args.pci_ids, args.drivers, args.amdgpu)
    if args.json:
        print_json({"schema": 1, "sources": [as_dict(answer) for answer in answers]})
    else:
        for answer in answers:
            for line in _lines(answer):
                stdout_console().print(line, markup=False, highlight=False, soft_wrap=True)
    return EXIT_NO if any(answer.differences for answer in answers) else EXIT_OK


def _lines(answer: SourceAnswer) -> Iterator[str]:
    if answer.unreachable is not None:
        yield f"{answer.source}: not compared: {answer.unreachable}"
        return
    yield f"{answer.source}: {answer.compared} rows compared, {len(answer.differences)} differ"
    for each in answer.differences:
        yield f"  {each.table}: {each.row}: {each.ours or 'no row'}, there {each.theirs or 'nothing'}"
