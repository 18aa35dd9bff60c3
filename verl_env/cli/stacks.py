"""``verl-env stacks``: every lockset, with the verdict for this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.choose.choose import evaluate_all
from verl_env.choose.model import Request
from verl_env.cli.console import print_json, say, stdout_console, unicode_ok
from verl_env.cli.options import add_machine_arguments, machine_from, site_rules
from verl_env.errors import EXIT_OK
from verl_env.records import replace

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from verl_env.choose.model import Evaluation
    from verl_env.locksets.model import Lockset
    from verl_env.machine.model import Machine

#: Every lockset is asked about, previews too: the table is about the machine.
EVERYTHING = Request(stack=(), preview=True)

HEADINGS = ("lockset", "verl", "engines", "torch", "runs on", "Python", "driver", "GPUs", "tier", "verdict")
#: The columns between name and verdict, those first that a narrow terminal shows longest.
PRIORITY = (6, 7, 5, 4, 8, 2, 3, 1)
#: What is left for the verdict, and what lies between two columns of a table.
VERDICT_WIDTH, GAP = 30, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env stacks``."""
    add_machine_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--all", action="store_true", help="every requirement of each lockset, met or not")


def main(args: argparse.Namespace) -> int:
    """Prints every lockset; exit code 0 whether one fits or not, because the list is the answer.

    Raises:
        VerlEnvError: the machine or a lockset cannot be read.
    """
    from verl_env.locksets.catalogue import load_catalogue

    machine = machine_from(args)
    evaluations = evaluate_all(load_catalogue(), machine, replace(EVERYTHING, rules=site_rules()))
    if args.json:
        print_json(to_json(evaluations, verdicts=args.all))
    else:
        render(stdout_console(), evaluations, machine, verdicts=args.all)
    return EXIT_OK


def to_json(evaluations: Sequence[Evaluation], *, verdicts: bool = False) -> dict[str, object]:
    """The document of ``--json``; ``verdicts`` adds what is met or in doubt to each lockset."""
    from verl_env.choose.to_json import lockset_json

    return {"schema": 1, "locksets": [lockset_json(evaluation, verdicts=verdicts) for evaluation in evaluations]}


def render(
    console: Console,
    evaluations: Sequence[Evaluation],
    machine: Machine,
    *,
    verdicts: bool = False,
    unicode: bool | None = None,
) -> None:
    """Prints the locksets: a table on a terminal, aligned columns elsewhere, a block each with ``verdicts``."""
    from verl_env.choose.explain import machine_line

    wide = unicode_ok(console.file) if unicode is None else unicode
    if verdicts:
        _blocks(console, evaluations, unicode=wide)
    elif console.is_terminal:
        _table(console, evaluations, unicode=wide)
    else:
        _columns(console, evaluations)
    fitting = sum(evaluation.fits for evaluation in evaluations)
    if console.is_terminal:
        say(console, f"{fitting} of {len(evaluations)} fit this machine: {machine_line(machine)}")


def row(evaluation: Evaluation) -> tuple[str, ...]:
    """One lockset as the cells of the table, in the order of ``HEADINGS``."""
    from verl_env.choose.fits import supported_gpus
    from verl_env.cli.render.plan import accelerator_text

    lockset = evaluation.lockset
    driver = lockset.requires.driver
    return (
        lockset.id,
        lockset.verl,
        ", ".join(f"{name} {version}" for name, version in lockset.engines.items()) or "-",
        lockset.torch,
        accelerator_text(evaluation),
        " ".join(lock.python for lock in lockset.pythons) or "-",
        f">= {driver.minimum}" if driver else "-",
        ranges(supported_gpus(lockset)) or "-",
        tier(lockset),
        verdict(evaluation),
    )


def verdict(evaluation: Evaluation) -> str:
    """The verdict in few words: whether it fits, with what doubts, or every different reason."""
    if not evaluation.fits:
        return "no: " + ", ".join(dict.fromkeys(failed.brief for failed in evaluation.failed))
    doubts = [each for each in evaluation.verdicts if each.outcome in ("warned", "unknown")]
    doubts = [each for each in doubts if each.requirement != "preview"]
    return "fits" if not doubts else f"fits, with warnings: {', '.join(dict.fromkeys(d.requirement for d in doubts))}"


def ranges(capabilities: Sequence[str]) -> str:
    """Compute capabilities with neighbours joined: ``"8.0-9.0, 12.0"``; gfx targets as they are."""
    from verl_env.choose.fits import CAPABILITIES

    if not all(capability in CAPABILITIES for capability in capabilities):
        return ", ".join(capabilities)
    runs: list[list[str]] = []
    for capability in capabilities:
        if runs and CAPABILITIES.index(runs[-1][-1]) + 1 == CAPABILITIES.index(capability):
            runs[-1].append(capability)
        else:
            runs.append([capability])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def tier(lockset: Lockset, *, preview: bool = True) -> str:
    """The tier, with the native components that no environment of it had: ``"installed without flash-attn + 2"``."""
    missing = [name for name, version in lockset.tried_with().items() if version is None]
    missing.sort(key=lambda name: name != "flash-attn")
    more = f" + {len(missing) - 1}" if len(missing) > 1 else ""
    without = f" without {missing[0]}{more}" if missing else ""
    return f"{lockset.tier}{without}{', preview' if preview and lockset.preview else ''}"


def _table(console: Console, evaluations: Sequence[Evaluation], *, unicode: bool) -> None:
    """A table grouped by folder, with as many columns as the terminal is wide; the verdict alone may wrap."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from verl_env.cli.render.plan import hang

    groups = _by_folder(evaluations)
    names = [*groups, *(f"  {_last(each)}" for each in evaluations)]
    shown = _shown([row(each) for each in evaluations], console.width - max(map(len, names)) - VERDICT_WIDTH)
    table = Table(box=box.SIMPLE_HEAD if unicode else box.ASCII, show_edge=False, pad_edge=False)
    for place in (0, *shown):
        table.add_column(HEADINGS[place], no_wrap=True)
    table.add_column(HEADINGS[-1], ratio=1)
    for folder, members in groups.items():
        table.add_row(Text(folder, style="bold"))
        for each in members:
            cells = row(each)
            style = "green" if each.fits else "red"
            table.add_row(f"  {_last(each)}", *(Text(cells[place]) for place in shown), Text(cells[-1], style=style))
    console.print(table, soft_wrap=False)
    if len(shown) < len(PRIORITY):
        hang(console, "", "a wider terminal shows more columns; --all and --json show all")


def _by_folder(evaluations: Sequence[Evaluation]) -> dict[str, list[Evaluation]]:
    groups: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault(evaluation.lockset.id.rpartition("/")[0], []).append(evaluation)
    return groups


def _last(evaluation: Evaluation) -> str:
    return evaluation.lockset.id.rpartition("/")[2]


def _shown(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """The columns that have room beside name and verdict, by priority, in the order of the table."""
    shown = []
    for place in PRIORITY:
        room -= max(len(HEADINGS[place]), *(len(cells[place]) for cells in rows)) + GAP
        if room < 0:
            break
        shown.append(place)
    return sorted(shown)


def _columns(console: Console, evaluations: Sequence[Evaluation]) -> None:
    """Cells under each other, two spaces between columns, nothing cut: for grep and awk."""
    rows = [tuple(heading.upper() for heading in HEADINGS), *map(row, evaluations)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        say(console, "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def _blocks(console: Console, evaluations: Sequence[Evaluation], *, unicode: bool) -> None:
    """Each lockset with every cell and every verdict, one under the other."""
    from verl_env.cli.render.plan import hang, marks_for

    marks = marks_for(console, unicode=unicode)
    signs = {"met": (marks.met, "green"), "failed": (marks.cross, "red")}
    for evaluation in evaluations:
        cells = row(evaluation)
        say(console, cells[0], style="bold")
        for heading, cell in zip(HEADINGS[1:], cells[1:], strict=True):
            say(console, f"  {heading:<8} {cell}")
        for each in evaluation.verdicts:
            sign, colour = signs.get(each.outcome, (marks.doubt, "yellow"))
            hang(console, f"    {sign} {each.requirement}: ", each.message, style=colour)
