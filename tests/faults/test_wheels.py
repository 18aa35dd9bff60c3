"""Wheels that lead out of the environment, lie about their files, or are none: they touch nothing that others own."""

import stat
import zipfile

import pytest

from tests.faults.worlds import World
from tests.install.whole.test_kill import snapshot
from tests.rounds import EITHER

pytestmark = pytest.mark.slow

INFO = "evil-1.0.dist-info"
META = {
    f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
#: What is in the wheel besides; a value of None makes a link.
HOSTILE = {
    "up": {"../../../../../outside.txt": "x"},
    "absolute": {"/tmp/verl-env-outside.txt": "x"},
    "up in data": {"evil-1.0.data/data/../../../../outside.txt": "x"},
    "the interpreter": {"evil-1.0.data/scripts/python": "#!python\nprint(1)\n"},
    "the configuration": {"evil-1.0.data/data/pyvenv.cfg": "home = /nowhere\n"},
    "a locked package": {"demo/__init__.py": "version = 'evil'\n"},
    "our hook": {"_verl_env_boot.py": "raise SystemExit(7)\n", "verl_env.pth": "import os; os._exit(7)\n"},
    "a link out": {"evil/link": None},
    "no record": {},
    "a broken member": {"evil/__init__.py": b"\x00" * 100},
}


def wheel(folder, kind):
    path = folder / "evil-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**META, **HOSTILE[kind]}.items():
            if text is None:
                entry = zipfile.ZipInfo(name)
                entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
                archive.writestr(entry, "../../../../../../etc/passwd")
            else:
                archive.writestr(name, text)
        if kind != "no record":
            lines = [f"{name},," for name in [*META, *HOSTILE[kind], f"{INFO}/RECORD"]]
            archive.writestr(f"{INFO}/RECORD", "\n".join(lines) + "\n")
    if kind == "a broken member":
        data = bytearray(path.read_bytes())
        data[data.index(b"\x00" * 100) + 3] ^= 0xFF
        path.write_bytes(bytes(data))
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("wheels"))
    world.install("a")
    return world


@pytest.mark.parametrize("installer", EITHER)
@pytest.mark.parametrize("kind", HOSTILE)
def test_it_changes_nothing_outside_and_nothing_that_others_own(world, tmp_path, kind, installer):
    before, around = snapshot(world.into), sorted(world.into.parent.parent.rglob("*outside*"))
    done = world.pip("install", "--installer", installer, wheel(tmp_path, kind), check=False)
    after = snapshot(world.into)
    assert done.returncode in {0, 1, 2}
    ours = {name: content for name, content in after.items() if name in before}
    volatile = {name for name in before if "verl-env-constraints" in name or name.endswith("RECORD")}
    assert {n: c for n, c in ours.items() if n not in volatile} == {
        n: c for n, c in before.items() if n not in volatile
    }
    assert sorted(world.into.parent.parent.rglob("*outside*")) == around
    if done.returncode == 0:
        world.pip("uninstall", "evil")
    else:
        assert "error[" in done.stderr
