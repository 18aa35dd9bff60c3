"""Damage of what starts with every interpreter: only what CPython itself cannot read may fail."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.worlds import seeded
from tests.rounds import ROUNDS, rounds
from tests.runtime import fakes
from verl_env.environment import binding
from verl_env.wheels.runtime import SOURCE, STARTED

#: Every file of ours that an interpreter reads when it starts, with what stands in it.
FILES = {name: (SOURCE / name).read_bytes() for name in STARTED}
FILES |= {name: (SOURCE.parent / "binding" / name).read_bytes() for name in binding.FILES}
#: By release: interpreters that the runtime is for, where this machine has them.
PYTHONS = {"here": sys.executable} | {
    path.parent.parent.name: str(path)
    for path in sorted(Path("~/.pyenv/versions").expanduser().glob("3.*/bin/python3"))
    if (release := tuple(map(int, path.parent.parent.name.split(".")[:2]))) >= (3, 9)
    and release != sys.version_info[:2]
}
#: Flips of bits in one file that a usual run tries; ``make faults`` tries all.
FEW = 30
#: What a user's program begins with; the second is one that our finder has work with.
PROGRAMS = ("import colorsys; print('works')", "import vllm; print('works')")


class Start:
    """An environment as verl-env makes it, a link to a generation, one of whose start-up files is damaged."""

    def __init__(self, folder, python):
        made = fakes.Environment(folder / ".venv.d" / "0001", python).install()
        fakes.write_vllm(made.site)
        (folder / ".venv").symlink_to(".venv.d/0001")
        self.python = folder / ".venv" / "bin" / "python"
        self.site = made.site
        for name, content in FILES.items():
            (self.site / name).write_bytes(content)

    def ends(self, program=PROGRAMS[0]):
        """The exit code of a program, and what it printed."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VERL_ENV"))}
        argv = [self.python, "-B", "-c", program]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, errors="replace", timeout=60, check=False)
        return done.returncode, done.stdout

    def flipped(self, name, most):
        """How many flips of a bit were tried, and the contents that a start did not survive, each with its status."""
        seed = str(seeded(f"{self.release} {name}").random())
        argv = [self.python, "-S", "-B", Path(__file__).with_name("flips.py"), self.site / name, str(most), seed]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        tried, failed = json.loads(done.stdout.splitlines()[-1])
        return tried, [(_flip(FILES[name], place, bit), status) for place, bit, status in failed]


@pytest.fixture(scope="module", params=PYTHONS)
def start(request, tmp_path_factory):
    made = Start(tmp_path_factory.mktemp("start"), PYTHONS[request.param])
    made.release = request.param
    return made


def _flip(content, place, bit):
    content = bytearray(content)
    content[place] ^= 1 << bit
    return bytes(content)


def damage(random, content):  # noqa: PLR0911
    """One of the ways in which disks, editors and transfers spoil a file."""
    at = random.randrange(len(content))
    kind = random.randrange(7)
    if kind == 0:
        return _flip(content, at, random.randrange(8))
    if kind == 1:
        return content[:at]
    if kind == 2:
        return content[:at] + bytes(random.randint(1, 30)) + content[at + 1 :]
    if kind == 3:
        return content[:at] + random.randbytes(random.randint(1, 40)) + content[at:]
    if kind == 4:
        return random.randbytes(len(content))
    if kind == 5:
        return content[at:] + content[:at]
    typed = bytes(random.randrange(32, 127) for _ in range(random.randint(1, 3)))
    return content[:at] + typed + content[at + random.randint(0, 3) :]


def cpython_cannot_read(name, content, release):
    """What is not UTF-8: CPython decodes a ``.pth`` file outside of the try that guards its lines.

    3.9 does so with any module, when it words the fault of its import.
    """
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return name.endswith(".pth") or release.startswith("3.9.")
    return False


def test_starts_and_the_hook_works(start):
    assert start.ends() == (0, "works\n")
    program = "import vllm, sys; print([type(each).__name__ for each in sys.meta_path].count('Watch'))"
    assert start.ends(program) == (0, "1\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_flipped_bits(start, name):
    if start.release != "here" and name not in STARTED:
        pytest.skip("thousands of starts: one interpreter is enough")
    most = 0 if ROUNDS else FEW
    try:
        tried, failed = start.flipped(name, most)
    finally:
        (start.site / name).write_bytes(FILES[name])
    print(f"{start.release}: {tried} flips of {name}, {len(failed)} ended in CPython")
    assert tried == most or tried > (500 if name.endswith(".py") else 100)
    assert [each for each in failed if not cpython_cannot_read(name, each[0], start.release)] == []


@pytest.mark.slow
def test_damaged_starts(start):
    random = seeded(start.release)
    fatal, times = 0, rounds(12, 20 / len(PYTHONS))
    for number in range(times):
        name = list(FILES)[number % len(FILES)]
        content = damage(random, FILES[name])
        (start.site / name).write_bytes(content)
        done = start.ends(PROGRAMS[number // len(FILES) % 2])
        (start.site / name).write_bytes(FILES[name])
        if done != (0, "works\n"):
            assert cpython_cannot_read(name, content, start.release), (name, content, done)
            fatal += 1
    print(f"{start.release}: {fatal} of {times} damaged starts ended in CPython")
