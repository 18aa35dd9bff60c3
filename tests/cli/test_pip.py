"""``verl-env pip`` and ``verl-env run``, on environments made of a small lock."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import tomli_w

from tests.cli.test_install import Bench
from tests.cli.test_install import bench as bench  # noqa: PLC0414 (a fixture)
from tests.install.plans import PYTHON
from tests.install.server import Index
from tests.install.wheels import sha256, wheel_bytes
from verl_env.cli.main import main
from verl_env.components.decode import SCHEMA
from verl_env.environment.state import read_state

PUBLISHED = "https://wheels.invalid/fast/"
NATIVE = {"name": "fast-thing", "version": "2.0", "reason": "r", "needed_for": ["other"]}


class World(Bench):
    """The bench of ``install``, with what can be added."""

    def __init__(self, bench, monkeypatch):
        self.__dict__.update(bench.__dict__)
        self.monkeypatch = monkeypatch
        monkeypatch.setenv("VERL_ENV_MACHINE", str(self.machine))
        self.house.add("demo", "2.0")
        self.house.add("thing", "1.0", requires=["helper"])
        self.house.add("thing", "2.0", requires=["demo>=2"])
        self.house.add("helper", "0.2")
        self.run()

    def pip(self, *words):
        words = (
            [*words[:1], "--no-index", "--find-links", str(self.house.path), *words[1:]]
            if words[0] == "install"
            else words
        )
        code = main(["pip", "--into", str(self.into), *words])
        return code, self.capsys.readouterr()

    def process(self, *words, **env):
        code = "from verl_env.cli.main import run; run()"
        command = [sys.executable, "-c", code, *words[:1], "--into", str(self.into), *words[1:]]
        return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **env})

    def component(self, *wheels):
        """A native component with wheels that are published where nobody can fetch them but by the mirror."""
        table = {"schema": SCHEMA, "name": "fast-thing", "releases": [{"version": "2.0", "wheels": list(wheels)}]}
        folder = self.root / "components"
        folder.mkdir(exist_ok=True)
        (folder / "fast-thing.toml").write_text(tomli_w.dumps(table))
        config = self.root / "config.toml"
        config.write_text(f'[mirrors]\n"{PUBLISHED}" = "{self.house.path.as_uri()}"\n')
        self.monkeypatch.setenv("VERL_ENV_CONFIG", str(config))

    def build(self, torch, **changes):
        local = f"2.0+torch{torch}"
        package = self.house.add("fast-thing", local)
        name = f"fast_thing-{local}-py3-none-any.whl".replace("+", "%2B")
        entry = {"url": f"{PUBLISHED}{name}", "pythons": [PYTHON], "torch": torch, "cuda": "12", "source": "a test"}
        return {**entry, "sha256": package.hashes[0].removeprefix("sha256:"), **changes}

    @property
    def versions(self):
        shown = self.process("pip", "list", "--format=json")
        return {each["name"].replace("_", "-"): each["version"] for each in json.loads(shown.stdout)}


@pytest.fixture
def world(bench, monkeypatch):
    return World(bench, monkeypatch)


def test_what_fits_is_added(world):
    code, captured = world.pip("install", "thing")
    assert (code, captured.out) == (0, "+ helper 0.2\n+ thing 1.0\n")
    assert world.versions.items() >= {"demo": "1.0", "thing": "1.0", "helper": "0.2"}.items()
    code, captured = world.pip("install", "thing")
    assert (code, captured.out) == (0, f"nothing to do: {world.into} has it\n")
    assert world.run()[1].out.startswith("nothing to do")
    code, captured = world.pip("uninstall", "-y", "thing")
    assert (code, captured.out) == (0, "- thing 1.0\n")


def test_what_would_move_a_pin_is_refused(world):
    code, captured = world.pip("install", "thing>=2")
    assert code == 1
    assert captured.err.startswith("error[pip-would-drift]: thing>=2 does not go with verl9.9-cu124/app.demo\n")
    assert "thing>=2.0 needs demo>=2, and demo is locked at 1.0" in captured.err
    assert "verl-env pip install --allow-drift 'thing>=2'" in captured.err
    code, captured = world.pip("uninstall", "demo")
    assert code == 1
    assert "verl-env pip uninstall --allow-drift demo" in captured.err


def test_what_may_move_is_said_and_a_later_install_takes_it_back(world):
    code, captured = world.pip("install", "--allow-drift", "thing>=2")
    assert code == 0
    assert captured.out == "~ demo 1.0 -> 2.0\n+ thing 2.0\n"
    assert "warning: demo: no longer as locked; back to the lock: verl-env install" in captured.err
    code, captured = world.run()
    assert code == 0
    assert "warning: demo 2.0 was put there on purpose" in captured.err
    assert "- thing 2.0\n~ demo 2.0 -> 1.0\n" in captured.out


def test_as_json(world):
    source = ["--no-index", "--find-links", str(world.house.path)]
    command = ["pip", "--into", str(world.into), "--json", "install", *source, "--allow-drift", "thing>=2"]
    assert main([*command, "--dry-run"]) == 0
    data = json.loads(world.capsys.readouterr().out)
    assert (data["schema"], data["done"], data["path"]) == (1, False, str(world.into))
    assert data["moved"] == [{"kind": "~", "name": "demo", "old": "1.0", "new": "2.0"}]
    assert world.versions["demo"] == "1.0"
    assert main(command) == 0
    assert json.loads(world.capsys.readouterr().out)["done"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "usage"),
        (["--nonsense"], "usage"),
        (["sync", "x.txt"], "usage"),
        (["install"], "usage"),
        (["install", "--target", "/tmp", "x"], "usage"),
        (["uninstall"], "usage"),
        (["uninstall", "--root", "x"], "usage"),
    ],
)
def test_wrong_use(world, words, error):
    code = main(["pip", "--into", str(world.into), *words])
    assert code == 2
    assert f"error[{error}]" in world.capsys.readouterr().err


def test_an_environment_of_somebody_else(world, tmp_path):
    for words in (["pip", "--into", str(tmp_path), "list"], ["run", "--into", str(tmp_path), "true"]):
        assert main(words) == 2
        assert "error[environment-not-made]" in world.capsys.readouterr().err


def test_other_commands_go_to_pip_with_their_exit_code(world):
    assert "demo==1.0" in world.process("pip", "freeze").stdout
    shown = world.process("pip", "show", "nosuch")
    assert (shown.returncode, "not found" in shown.stderr) == (1, True)


def test_a_native_component_comes_as_the_build_that_fits(world):
    """An index would give the newest; nothing but a name says what it is for."""
    world.component(world.build("2.6"), world.build("2.7"))
    code, captured = world.pip("install", "fast-thing", "thing")
    assert code == 0
    assert "+ fast-thing 2.0 (published wheel fast_thing-2.0+torch2.6-py3-none-any.whl)\n" in captured.out
    assert world.versions.items() >= {"fast-thing": "2.0+torch2.6", "thing": "1.0"}.items()
    assert "fast-thing==2.0\n" in (world.into / "verl-env-constraints.txt").read_text()
    extras = {extra.name: extra.wish for extra in read_state(world.into).extras}
    assert extras == {"fast-thing": "fast-thing", "thing": "thing", "helper": None}


def test_a_native_component_survives_repairs(world):
    world.component(world.build("2.6"))
    world.pip("install", "fast-thing")
    code, captured = world.run()
    assert (code, captured.out.partition(":")[0]) == (0, "nothing to do")
    uninstalled = world.pip("uninstall", "--allow-drift", "demo")
    assert uninstalled[0] == 0
    assert world.run()[0] == 0
    assert world.versions.items() >= {"fast-thing": "2.0+torch2.6", "demo": "1.0"}.items()
    assert [extra.wish for extra in read_state(world.into).extras] == ["fast-thing"]


def test_a_native_component_that_was_added_is_taken_out_again(world):
    world.component(world.build("2.6"))
    world.pip("install", "fast-thing")
    assert read_state(world.into).ways["fast-thing"].startswith("2.0 from ")
    assert world.pip("uninstall", "fast-thing")[0] == 0
    assert "fast-thing" not in read_state(world.into).ways
    pins = (world.into / "verl-env-constraints.txt").read_text().splitlines()
    assert [line for line in pins if line.startswith("fast-thing")] == [
        "fast-thing==2.0+torch2.6  # not installed; its wheel lies in verl-env-wheels"
    ]
    assert world.run()[0] == 0
    assert "fast-thing" not in world.versions


def test_a_native_component_that_nobody_has_for_this_torch(world):
    world.component(world.build("2.7"))
    code, captured = world.pip("install", "fast-thing")
    assert code == 1
    assert "torch 2.7" in captured.err
    command = f"verl-env plan --stack demo --lockset verl9.9-cu124/app.demo --python {PYTHON} --with fast-thing"
    assert f"hint: every way, and why not: {command} --explain" in captured.err
    assert "leave --with out" not in captured.err
    assert "fast-thing" not in world.versions


def test_another_file_under_the_address_of_a_component_is_refused(world):
    world.component(world.build("2.6", sha256=sha256(b"other")))
    code, captured = world.pip("install", "fast-thing")
    assert code == 1
    assert f"(mirror of {PUBLISHED}" in captured.err
    assert "fast-thing" not in world.versions


def test_a_component_in_another_version_than_the_locksets(world):
    world.lockset("verl9.9-cu124/app.demo", [world.demo, world.verl], natives=[NATIVE])
    world.component(world.build("2.6"))
    code, captured = world.pip("install", "fast-thing==1.0")
    assert code == 1
    assert "error[component-unfit]" in captured.err
    assert "it has fast-thing 2.0, not ==1.0" in captured.err
    assert f"--lockset verl9.9-cu124/app.demo --python {PYTHON} --with fast-thing==1.0 --explain" in captured.err


def test_what_is_a_component_elsewhere_comes_from_the_index_here(world):
    """SGLang is built for ROCm; for CUDA an index has it."""
    for_rocm = {**world.build("2.6"), "rocm": "6.3"}
    del for_rocm["cuda"]
    world.component(for_rocm)
    world.house.add("fast-thing", "3.0")
    code, captured = world.pip("install", "fast-thing==3.0")
    assert (code, captured.out) == (0, "+ fast-thing 3.0\n")
    assert world.versions["fast-thing"] == "3.0"


def given(world, version, files=None, *, name="fast-thing", wheel="2.6", **more):
    """A wheel in a directory of the user's, of a component that the lockset has in 2.0."""
    world.lockset("verl9.9-cu124/app.demo", [world.demo, world.verl], natives=[NATIVE])
    entry = world.build(wheel, **more)
    world.component(entry)
    folder = world.root.parent / "mine"
    folder.mkdir(exist_ok=True)
    file = folder / f"fast_thing-{version}-py3-none-any.whl"
    file.write_bytes(wheel_bytes(name, version, {"fast_thing.py": "x = 1\n"} if files is None else files))
    return file


FORMS = {
    "path": str,
    "address": lambda file: f"fast-thing @ {file.as_uri()}",
    "bare address": lambda file: file.as_uri(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_component_that_is_given_as_a_file(world, form):
    code, captured = world.pip("install", FORMS[form](given(world, "2.0+mine")))
    assert (code, captured.err.strip() in {"", "fast-thing 2.0: given wheel fast_thing-2.0+mine-py3-none-any.whl"}) == (
        0,
        True,
    )
    assert world.versions["fast-thing"] == "2.0+mine"
    assert (world.into / "verl-env-wheels" / "fast_thing-2.0+mine-py3-none-any.whl").is_file()


@pytest.mark.parametrize("route", ["path", "wheelhouse", "mirror"])
def test_three_routes_lead_to_the_same_place(world, route):
    """A native of the environment: recorded, whole after its source is gone, back after damage, pinned."""
    file = given(world, "2.0+mine")
    words = {
        "path": [str(file)],
        "wheelhouse": ["fast-thing", "--wheelhouse", str(file.parent)],
        "mirror": ["fast-thing"],
    }
    assert world.pip("install", *words[route])[0] == 0
    version = "2.0+torch2.6" if route == "mirror" else "2.0+mine"
    file.unlink()
    state = read_state(world.into)
    assert state.ways["fast-thing"].startswith("2.0 from ")
    assert [(extra.name, extra.origin, extra.wish) for extra in state.extras] == [("fast-thing", None, "fast-thing")]
    assert "fast-thing==2.0\n" in (world.into / "verl-env-constraints.txt").read_text()
    code, captured = world.run()
    assert (code, captured.out.partition(":")[0]) == (0, "nothing to do")
    shutil.rmtree(next(world.into.glob("lib/*/site-packages/fast_thing-*.dist-info")))
    assert world.run()[0] == 0
    assert world.versions["fast-thing"] == version


def test_a_wheelhouse_is_looked_into_when_the_environment_is_made(world):
    file = given(world, "2.0+mine")
    assert world.run("--with", "fast-thing", "--wheelhouse", str(world.house.path))[0] == 0
    assert world.versions["fast-thing"] == "2.0+torch2.6"
    (world.house.path / file.name).write_bytes(file.read_bytes())
    code, captured = world.run("--with", "fast-thing", "--wheelhouse", str(world.house.path))
    assert (code, captured.out.partition(":")[0]) == (0, "nothing to do")
    assert world.pip("uninstall", "fast-thing")[0] == 0
    assert world.run("--with", "fast-thing", "--wheelhouse", str(world.house.path))[0] == 0
    assert world.versions["fast-thing"] == "2.0+mine"


def test_a_wheelhouse_that_is_none(world):
    code, captured = world.pip("install", "fast-thing", "--wheelhouse", "nowhere")
    assert (code, "error[usage]: --wheelhouse nowhere: " in captured.err) == (2, True)


@pytest.mark.parametrize("form", FORMS)
def test_a_component_that_is_given_in_another_version(world, form):
    wish = FORMS[form](given(world, "1.5"))
    code, captured = world.pip("install", wish)
    assert code == 1
    assert "error[pip-would-drift]" in captured.err
    assert "fast-thing is locked at 2.0" in captured.err
    assert "fast-thing" not in world.versions
    code, captured = world.pip("install", "--allow-drift", wish)
    assert code == 0
    assert "warning: fast-thing: no longer as locked" in captured.err
    assert world.versions["fast-thing"] == "1.5"


@pytest.mark.parametrize("words", [["--dry-run"], ["--allow-drift"], []])
def test_a_component_that_is_given_and_holds_nothing_compiled(world, words):
    file = given(world, "2.0", url=f"{PUBLISHED}fast_thing-2.0-cp310-cp310-linux_x86_64.whl")
    code, captured = world.pip("install", *words, str(file))
    assert code == 1
    assert "error[native-mismatch]" in captured.err
    assert "nothing in it is compiled, and fast-thing is" in captured.err
    assert "hint: ask for it by its name, for a build that fits: verl-env pip install fast-thing\n" in captured.err
    assert "fast-thing" not in world.versions


def test_a_component_that_is_given_damaged(world):
    file = given(world, "2.0", {"fast_thing.cpython-310-x86_64-linux-gnu.so": b"\x7fELF cut"})
    code, captured = world.pip("install", str(file))
    assert (code, "error[native-mismatch]" in captured.err) == (1, True)


def test_a_component_that_is_given_by_an_address_of_a_server(world):
    file = given(world, "2.0")
    index = Index(file.parent)
    try:
        assert world.pip("install", f"{index.url(file.name)}#egg=fast-thing", "--dry-run")[0] == 0
        file.write_bytes(wheel_bytes("fast-thing", "2.0", {"fast_thing.so": b"\x7fELF cut"}))
        code, captured = world.pip("install", f"fast-thing @ {index.url(file.name)}", "thing")
    finally:
        index.close()
    assert (code, "error[native-mismatch]" in captured.err) == (1, True)
    assert "thing" not in world.versions


def test_an_environment_can_be_made_with_more(world):
    world.component(world.build("2.6"))
    assert world.run("--with", "fast-thing", "--with", "thing<2")[0] == 0
    assert world.versions.items() >= {"fast-thing": "2.0+torch2.6", "thing": "1.0", "helper": "0.2"}.items()
    assert world.run()[1].out.startswith("nothing to do")
    assert world.run("--with", "thing")[1].out.startswith("nothing to do")


SHOW = "import os, sys; print(os.environ['DEMO'], sys.prefix, os.environ['UV_CONSTRAINT'], os.environ['VIRTUAL_ENV'])"


def test_a_command_has_the_variables_of_the_lockset(world):
    shown = world.process("run", "--", "python", "-c", SHOW)
    constraints = world.into / "verl-env-constraints.txt"
    assert shown.stdout.split() == ["1", str(world.into.resolve()), str(constraints), str(world.into)]
    assert shown.returncode == 0


def test_a_value_of_the_user_wins_and_verbose_says_so(world):
    shown = world.process("run", "-v", "python", "-c", SHOW, DEMO="mine", UV_CONSTRAINT="/own.txt")
    assert shown.stdout.split()[:1] == ["mine"]
    assert shown.stdout.split()[2:4] == [str(world.into / "verl-env-constraints.txt"), "/own.txt"]
    assert shown.stderr == "DEMO=mine is yours; the lockset has 1\n"


def test_exit_codes_and_signals_are_those_of_the_command(world):
    assert world.process("run", "--", "python", "-c", "raise SystemExit(7)").returncode == 7
    killed = world.process("run", "--", "python", "-c", "import os; os.kill(os.getpid(), 15)")
    assert killed.returncode == -15


def test_a_command_that_is_not_there(world, tmp_path):
    shown = world.process("run", "nosuch")
    assert (shown.returncode, "error[command-missing]" in shown.stderr) == (127, True)
    (tmp_path / "text").write_text("")
    shown = world.process("run", str(tmp_path / "text"))
    assert (shown.returncode, "error[command-not-executable]" in shown.stderr) == (126, True)
    assert main(["run", "--into", str(world.into)]) == 2


def test_a_pip_from_outside_installs_into_the_environment_under_its_pins(world):
    """The environment has no pip; the first on PATH would install where it comes from."""
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--find-links", str(world.house.path)]
    env = {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    world.monkeypatch.delenv("PIP_CONFIG_FILE")
    refused = world.process("run", "--", *pip, "thing==2.0", **env)
    assert refused.returncode == 1
    assert "(constraint) demo==1.0" in refused.stdout
    assert world.process("run", "--", *pip, "helper", **env).returncode == 0
    assert world.versions["helper"] == "0.2"
