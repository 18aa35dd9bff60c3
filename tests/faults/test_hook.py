"""Damage of what the hook brings, and interpreters that start on it: only what CPython itself cannot read may fail."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.worlds import rounds, seeded
from verl_env.wheels.runtime import SOURCE

FILES = ("verl_env.pth", "_verl_env_boot.py")
#: By place: interpreters of other releases, where this machine has them.
PYTHONS = {"here": sys.executable} | {
    path.parent.parent.name: str(path)
    for path in sorted(Path("~/.pyenv/versions").expanduser().glob("3.*/bin/python3"))
    if sys.version_info[:2] != tuple(map(int, path.parent.parent.name.split(".")[:2]))
}


class Start:
    """An environment with our start-up files, one of which is damaged."""

    def __init__(self, folder, python):
        subprocess.run([python, "-I", "-m", "venv", "--without-pip", folder], check=True, capture_output=True)
        self.python = folder / "bin" / "python"
        self.site = next(folder.glob("lib/python3.*/site-packages"))

    def damaged(self, name, content):
        for file in FILES:
            (self.site / file).write_bytes((SOURCE / file).read_bytes())
        (self.site / name).write_bytes(content)

    def ends(self):
        """The exit code of a program, and what it printed."""
        argv = [self.python, "-B", "-c", "print('works')"]
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=60, check=False)
        return done.returncode, done.stdout


def damage(random, content):
    content = bytearray(content)
    kind = random.randrange(6)
    at = random.randrange(len(content))
    if kind == 0:
        content[at] ^= 1 << random.randrange(8)
    elif kind == 1:
        del content[at:]
    elif kind == 2:
        content[at : at + random.randint(1, 30)] = bytes(random.randint(1, 30))
    elif kind == 3:
        content[at:at] = bytes(random.randrange(256) for _ in range(random.randint(1, 40)))
    elif kind == 4:
        content = bytearray(random.randrange(256) for _ in range(len(content)))
    else:
        content = content[at:] + content[:at]
    return bytes(content)


def cpython_cannot_read(name, content):
    """A ``.pth`` file that is not UTF-8: CPython decodes it outside of the try that guards its lines."""
    if not name.endswith(".pth"):
        return False
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return True
    return b"\0" in content


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_damaged_starts(tmp_path, python):
    random = seeded(python)
    start = Start(tmp_path / "env", PYTHONS[python])
    fatal = 0
    for number in range(rounds(12, 20 / len(PYTHONS))):
        name = FILES[number % 2]
        content = damage(random, (SOURCE / name).read_bytes())
        start.damaged(name, content)
        code, said = start.ends()
        if (code, said) != (0, "works\n"):
            assert cpython_cannot_read(name, content), (name, content, code)
            fatal += 1
    print(f"{python}: {fatal} of {rounds(12, 20 / len(PYTHONS))} damaged starts ended in CPython")
