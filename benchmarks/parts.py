"""What is measured: each part runs its peers in the same run and gives data; the page is made of nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Command, Series, in_turn, ratio

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
MACHINE = {
    "schema": 1,
    "host": {"os": "ubuntu", "os_version": "22.04", "arch": "x86_64", "glibc": "2.35", "wsl": False},
    "nvidia": {
        "driver": "550.54.15",
        "cuda": "12.4",
        "devices": [{"index": i, "name": "NVIDIA H100 80GB HBM3", "compute_capability": "9.0"} for i in range(8)],
    },
    "amd": None,
    "pythons": [{"version": "3.10.13", "path": "/usr/bin/python3.10"}],
}
ASKED = ("--gpu", "h100:8", "--driver", "550.54.15", "--native", "skip", "--yes")


class NotHereError(Exception):
    """This machine cannot measure a part; the reason is the page's."""


@dataclass
class Result:
    """What a part gives: series, limits with their verdicts, and remarks."""

    series: list[Series]
    limits: list[tuple[str, float, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unit: str = "s"

    def to_json(self) -> dict[str, Any]:
        limits = [
            {"what": what, "value": round(value, 4), "limit": limit, "kept": value <= limit}
            for what, value, limit in self.limits
        ]
        series = [each.to_json() for each in self.series]
        return {"unit": self.unit, "series": series, "limits": limits, "notes": self.notes}


@dataclass(frozen=True)
class World:
    """Where parts work: a directory, verl-env installed from its wheel there, an environment to look at, and runs."""

    room: Path
    bin: Path
    environment: Path | None
    stack: tuple[str, ...]
    runs: int

    def program(self, name: str) -> str:
        return str(self.bin / name)

    def needed_environment(self) -> Path:
        if self.environment is None:
            raise NotHereError("it needs --env, an environment that verl-env made")
        return self.environment


def plan(world: World) -> Result:
    """verl-env plan on a recorded machine, beside pip --version."""
    machine = world.room / "machine.json"
    machine.write_text(json.dumps(MACHINE))
    start = Command("verl-env --version", [world.program("verl-env"), "--version"])
    words = ["plan", "--stack", "vllm", "--machine", str(machine), "--json"]
    ours = Command("verl-env plan --machine F --json", [world.program("verl-env"), *words])
    peer = Command("pip --version", [world.program("pip"), "--version"])
    found = in_turn([start, ours, peer], max(world.runs, 10))
    return Result(found, [("plan, of pip --version", ratio(found[1], found[2], "cpu"), 0.7)])


def nothing(world: World) -> Result:
    """An installation that has nothing to do, with its look at every file, beside uv pip sync on the same."""
    environment = world.needed_environment()
    install = [world.program("verl-env"), "install", *world.stack, *ASKED, "--into", str(environment)]
    ours = Command("verl-env install, nothing to do", install)
    env = {**os.environ, "VIRTUAL_ENV": str(environment)}
    sync = [world.program("uv"), "pip", "install", "--dry-run", "--no-deps", "-q", "-r", str(lock_of(world))]
    found = in_turn([ours, Command("uv pip install -r LOCK, nothing to do", sync, env)], world.runs)
    notes = [f"{files_of(environment):,} files; uv looks at metadata alone."]
    return Result(found, [("seconds, by the least processor time", min(found[0].cpu), 1.0)], notes)


def install(world: World) -> Result:
    """A warm installation without import checks, beside uv venv and uv pip sync of the same lock."""
    world.needed_environment()  # what was installed once is in uv's cache
    mine, theirs = world.room / "mine", world.room / "theirs"
    uv = world.program("uv")
    words = [*world.stack, *ASKED, "--no-check", "--into", str(mine)]
    ours = Command(
        "verl-env install --no-check", [world.program("verl-env"), "install", *words], None, lambda: clear(mine)
    )
    interpreter = json.loads(out([world.program("verl-env"), "plan", *world.stack, *ASKED[:-1], "--json"]))[
        "interpreter"
    ]
    script = f"{uv} venv -q --python {interpreter} {theirs} && {uv} pip sync -q --require-hashes {lock_of(world)}"
    env = {**os.environ, "VIRTUAL_ENV": str(theirs)}
    peer = Command("uv venv, uv pip sync", ["sh", "-c", script], env, lambda: clear(theirs))
    found = in_turn([ours, peer], min(world.runs, 3))
    clear(mine)
    clear(theirs)
    limits = [("of bare uv, with everything written to the disk", ratio(*found), 1.3)]
    notes = ["Cold, and beside pip, it was not measured: each run would fetch 4 GB."]
    return Result(found, limits, notes)


def doctor(world: World) -> Result:
    """The doctor beside pip check, uv pip check and collect_env, by the packages of an environment."""
    sizes: dict[int, Path] = {count_of(path): path for path in (world.bin.parent, world.environment) if path}
    series: list[Series] = []
    for count, environment in sorted(sizes.items()):
        commands = checkers(world, environment)
        if (environment / "bin" / "vllm").exists():
            python = str(environment / "bin" / "python")
            commands.append(Command("vllm.collect_env", [python, "-m", "vllm.collect_env"], codes=(0, 1)))
        series += in_turn(commands, min(world.runs, 3), count)
    ours = [each for each in series if each.name == "verl-env doctor"]
    return Result(series, [("seconds, by the least processor time", min(ours[-1].cpu), 3.0)])


def probe(world: World) -> Result:
    """verl-env probe beside nvidia-smi."""
    smi = shutil.which("nvidia-smi")
    commands = [
        Command("verl-env probe --json", [world.program("verl-env"), "probe", "--json"]),
        Command("python -c pass", [world.program("python"), "-c", "pass"]),
        *([Command("nvidia-smi", [smi])] if smi else []),
    ]
    found = in_turn(commands, max(world.runs, 10))
    limits = [("of nvidia-smi", ratio(found[0], found[2]), 1 / 3)] if smi else []
    return Result(
        found, limits, [] if smi else ["There is no nvidia-smi on this machine: see the probe on an H200 below."]
    )


def locksets(world: World) -> Result:
    """A plan by the number of locksets: those that are shipped, and copies of them under other ids."""
    machine = world.room / "machine.json"
    machine.write_text(json.dumps(MACHINE))
    source = ROOT / "constraints"
    data = json.loads((source / "catalogue.json").read_text())
    shipped, series = data["locksets"], []
    for count in sorted({10, len(shipped), 250, 1000}):
        folder = world.room / f"constraints-{count}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder, copy_function=os.link)
        copies = dict(copy_of(shipped, number) for number in range(count))
        (folder / "catalogue.json").unlink()
        (folder / "catalogue.json").write_text(json.dumps({**data, "locksets": copies}))
        words = ["plan", "--stack", "vllm", "--machine", str(machine), "--json", "--lockset", "app.vllm.mcore0.12"]
        env = {**os.environ, "VERL_ENV_CONSTRAINTS": str(folder)}
        series += in_turn(
            [Command("verl-env plan", [world.program("verl-env"), *words[:-2]], env, codes=(0, 1))], 3, count
        )
        shutil.rmtree(folder)
    return Result(series)


def packages(world: World) -> Result:
    """The doctor beside pip check and uv pip check by the number of packages: generated ones, of ten files each."""
    series = []
    for count in (50, 500, 5000):
        environment = world.room / f"packages-{count}"
        shutil.rmtree(environment, ignore_errors=True)
        subprocess.run([world.program("uv"), "venv", "-q", "--python", sys.executable, str(environment)], check=True)
        site = next(environment.glob("lib/python3*/site-packages"))
        for number in range(count):
            generate(site, number, count)
        series += in_turn(checkers(world, environment), 1 if count > 1000 else 2, count)
        shutil.rmtree(environment)
    return Result(series, [("seconds for 5,000, by processor time", min(series[-3].cpu), 3.0)])


def nodes(world: World) -> Result:
    """The answers of many nodes, gathered and judged; what a real run takes beyond this is its slowest node."""
    del world
    from cluster import measure  # noqa: PLC0415 (it needs the extra)

    found = [measure(count) for count in (1, 10, 100, 1000, 2000)]
    series = [Series("gathering", each["nodes"], [each["seconds"]], [each["seconds"]]) for each in found]
    return Result(series, [], [f"{found[-1]['groups']} groups; {found[-1]['mib']:.1f} MiB more at the peak."])


def hook(world: World) -> Result:
    """The start-up hook in instructions of python -c pass, and one import while it waits; callgrind, exact."""
    if shutil.which("valgrind") is None:
        raise NotHereError("it needs valgrind")
    folder, file = world.room / "hook", world.room / "hook.json"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    script = [sys.executable, str(ROOT / "benchmarks" / "hook" / "instructions.py"), str(folder), "--no-peers"]
    subprocess.run([*script, "--json", str(file)], check=False, stdout=subprocess.DEVNULL)
    data = json.loads(file.read_text())
    series = [Series(f"start-up, {name}", None, [count / 1e6]) for name, count in data["start"].items()]
    series += [Series(f"one import, {name}", None, [count / 1e6]) for name, count in data["import"].items()]
    start, one = data["start"], data["import"]
    limits = [
        ("start-up, of bare", start["verl-env"] / start["bare"], 1.021),
        ("import, of bare", one["verl-env"] / one["bare"], 1.02),
    ]
    return Result(series, limits, unit="million instructions")


#: The parts, in the order of the page.
PARTS: dict[str, Callable[[World], Result]] = {
    each.__name__: each for each in (plan, install, nothing, doctor, probe, hook, locksets, packages, nodes)
}


def copy_of(shipped: dict[str, Any], number: int) -> tuple[str, Any]:
    """A lockset by its number; those beyond what is shipped are shipped ones again, under ids of their own."""
    name, entry = list(shipped.items())[number % len(shipped)]
    if number < len(shipped):
        return name, entry
    return f"{name}.copy{number}", {**entry, "lockset": {**entry["lockset"], "id": f"{name}.copy{number}"}}


def generate(site: Path, number: int, count: int) -> None:
    """A package of ten files that needs twenty others."""
    info = site / f"generated_{number}-1.0.dist-info"
    package = site / f"generated_{number}"
    info.mkdir()
    package.mkdir()
    needs = "".join(f"Requires-Dist: generated-{(number + step) % count}>=1\n" for step in range(1, 21))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: generated-{number}\nVersion: 1.0\n{needs}")
    names = [f"generated_{number}/part{part}.py" for part in range(8)]
    for name in names:
        (site / name).write_text("x = 1\n")
    lines = [f"{name},,6\n" for name in names]
    (info / "RECORD").write_text("".join([*lines, f"{info.name}/METADATA,,\n", f"{info.name}/RECORD,,\n"]))


def lock_of(world: World) -> Path:
    """The lock of the stack as a requirements file."""
    file = world.room / "lock.txt"
    data = json.loads(out([world.program("verl-env"), "plan", *world.stack, *ASKED[:-1], "--json"]))
    lines = [
        f"{each['name']}=={each['version']} {' '.join(f'--hash={digest}' for digest in each['hashes'])}\n"
        for each in data["packages"]
    ]
    file.write_text("".join(lines))
    return file


def out(argv: list[str]) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def checkers(world: World, environment: Path) -> list[Command]:
    """The doctor first, and the others that look at every package of an environment."""
    python = str(environment / "bin" / "python")
    doctor = [world.program("verl-env"), "doctor", "--into", str(environment), "--json"]
    return [
        Command("verl-env doctor", doctor, codes=(0, 1)),
        Command("pip check", [world.program("pip"), "--python", python, "check"], codes=(0, 1)),
        Command("uv pip check", [world.program("uv"), "pip", "check", "--python", python], codes=(0, 1)),
    ]


def count_of(environment: Path) -> int:
    return len(list(environment.glob("lib/python3*/site-packages/*.dist-info")))


def files_of(environment: Path) -> int:
    records = environment.glob("lib/python3*/site-packages/*.dist-info/RECORD")
    return sum(len(re.findall(r"\n", record.read_text(errors="replace"))) for record in records)


def clear(environment: Path) -> None:
    """Removes an environment, and its generations where it has some."""
    if environment.is_symlink():
        environment.unlink()
    for path in (environment, environment.with_name(f"{environment.name}.d")):
        shutil.rmtree(path, ignore_errors=True)
