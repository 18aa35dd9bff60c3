"""The pins of an environment as uv and pip find them; with the real pip in a real environment."""

import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from tests.install.plans import lockset, native, plan, wheel
from verl_env.environment.pins import (
    FILE,
    PIP_CONF,
    constraint_address,
    links_address,
    pip_conf,
    read_pins,
    write_pins,
)
from verl_env.environment.wheelhouse import FOLDER, keep_wheel, put_wheel, wheels_in
from verl_env.installers.pip import find_pip
from verl_env.locksets.model import Package
from verl_env.plans.plan import pins_of

PACKAGES = (Package("torch", "2.6.0", ("sha256:00",)), Package("verl", "0.1.0", ("sha256:11",)))
WHEEL = wheel("https://h/flash_attn-2.7.4+cu12-py3-none-any.whl")


def test_what_a_plan_pins():
    natives = (native(wheels=[WHEEL]), native("apex", "0.1", wheels=[wheel("https://h/apex-0.1-py3-none-any.whl")]))
    made = plan(PACKAGES, lock=lockset(natives=(*natives, native("deep-ep", "1"))))
    assert pins_of(made, without={"apex"}) == {"flash-attn": "2.7.4", "torch": "2.6.0", "verl": "0.1.0"}


def test_a_checkout_of_verl_is_no_pin():
    made = plan(PACKAGES, verl_source="/srv/verl")
    assert pins_of(made) == {"torch": "2.6.0"}


def test_pins_survive_the_file(tmp_path):
    write_pins(tmp_path, tmp_path, "verl0.1/demo", {"torch": "2.6.0", "a.b-c": "1+cu12"}, None)
    assert read_pins(tmp_path) == {"torch": "2.6.0", "a.b-c": "1+cu12"}
    assert "--hash" not in (tmp_path / FILE).read_text()
    assert read_pins(tmp_path / "nowhere") is None


def sections(text):
    parser = RawConfigParser()
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def test_what_the_user_said_in_pip_conf_is_kept(tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    (old / PIP_CONF).write_text(
        "[global]\nindex-url = https://i/100%\n[install]\nconstraint = mine.txt\nno-deps = 1\nfind-links = https://l\n"
    )
    for _ in range(2):
        write_pins(old, tmp_path / ".venv", "x", {}, old)
    found = sections((old / PIP_CONF).read_text())
    ours = str(tmp_path / ".venv" / FILE)
    assert found["global"] == {"index-url": "https://i/100%"}
    wheels = str(tmp_path / ".venv" / FOLDER)
    assert found["install"] == {"constraint": f"{ours} mine.txt", "no-deps": "1", "find-links": f"{wheels} https://l"}
    assert found["download"] == found["wheel"] == {"constraint": ours, "find-links": wheels}


def test_an_environment_that_was_moved_names_one_place():
    before = pip_conf("", "/old/.venv/verl-env-constraints.txt", "/old/.venv/verl-env-wheels")
    after = pip_conf(before, "/new/.venv/verl-env-constraints.txt", "/new/.venv/verl-env-wheels")
    assert sections(after)["install"] == {
        "constraint": "/new/.venv/verl-env-constraints.txt",
        "find-links": "/new/.venv/verl-env-wheels",
    }


def test_a_pip_conf_that_pip_cannot_read_is_replaced():
    assert sections(pip_conf("no section\n", "/x", "/y"))["wheel"] == {"constraint": "/x", "find-links": "/y"}


@pytest.mark.parametrize(
    ("path", "address"),
    [("/srv/.venv", f"/srv/.venv/{FILE}"), ("/my files/100%", f"file:///my%20files/100%25/{FILE}")],
)
def test_an_address_has_no_spaces(path, address):
    assert constraint_address(Path(path)) == address


@pytest.mark.parametrize("folder", ["plain", "with space"])
def test_the_real_pip_keeps_the_pins(tmp_path, house, monkeypatch, folder):
    monkeypatch.delenv("PIP_CONFIG_FILE")
    environment = tmp_path / folder / ".venv"
    subprocess.run(find_pip().make_environment(environment, sys.executable, "x").argv, check=True)
    for version in ("1.0", "2.0"):
        house.add("pinned", version)
    house.add("thing", "1.0", requires=["pinned>=2"])
    house.add("other", "1.0", requires=["pinned"])
    write_pins(environment, environment, "x", {"pinned": "1.0"}, None)
    pip = [sys.executable, "-m", "pip", "--python", environment / "bin" / "python"]
    source = ["--no-index", "--find-links", house.path]

    def run(command, name):
        return subprocess.run([*pip, command, *source, name], cwd=tmp_path, capture_output=True, text=True, check=False)

    refused = run("install", "thing")
    assert refused.returncode == 1
    assert "(constraint) pinned==1.0" in refused.stdout
    assert run("install", "other").returncode == 0
    assert run("download", "thing").returncode == 1
    shown = subprocess.run([*pip, "list", "--format=freeze"], capture_output=True, text=True, check=True).stdout
    assert shown == "other==1.0\npinned==1.0\n"


@pytest.mark.parametrize("folder", ["plain", "with space"])
def test_the_real_uv_keeps_the_pins(tmp_path, house, monkeypatch, folder):
    from verl_env.installers.uv import find_uv

    environment = tmp_path / folder / ".venv"
    uv = find_uv().executable
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    for version in ("1.0", "2.0"):
        house.add("pinned", version)
    house.add("thing", "1.0", requires=["pinned>=2"])
    write_pins(environment, environment, "x", {"pinned": "1.0"}, None)
    monkeypatch.setenv("UV_CONSTRAINT", constraint_address(environment))
    monkeypatch.setenv("VIRTUAL_ENV", str(environment))
    command = [uv, "pip", "install", "--no-index", "--find-links", house.path]
    refused = subprocess.run([*command, "thing"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "pinned>=2" in refused.stderr
    assert subprocess.run([*command, "pinned"], capture_output=True, check=False).returncode == 0


def made(house, tmp_path, folder):
    """An environment with the wheel of one component, and a source beside it that has a newer one."""
    environment = tmp_path / folder / ".venv"
    subprocess.run(find_pip().make_environment(environment, sys.executable, "x").argv, check=True)
    house.add("flash_attn", "1.0")
    put_wheel(environment, house.path / "flash_attn-1.0-py3-none-any.whl")
    (house.path / "flash_attn-1.0-py3-none-any.whl").unlink()
    house.add("flash_attn", "2.0")
    write_pins(environment, environment, "x", {"torch": "2"}, None)
    return environment


@pytest.mark.parametrize("folder", ["plain", "with space"])
@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_plain_pip_and_uv_take_the_wheel_that_was_read_for_the_environment(
    tmp_path, house, monkeypatch, folder, installer
):
    from verl_env.installers.uv import find_uv

    monkeypatch.delenv("PIP_CONFIG_FILE")
    environment = made(house, tmp_path, folder)
    python = environment / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--find-links", house.path]
    if installer == "uv":
        command = [find_uv().executable, "pip", "install", "--python", python]
        monkeypatch.setenv("UV_CONSTRAINT", constraint_address(environment))
        monkeypatch.setenv("UV_FIND_LINKS", f"{links_address(environment)},{house.path}")
    done = subprocess.run([*command, "--no-index", "flash-attn"], check=False)
    assert done.returncode == 0
    assert list(environment.glob("lib/*/site-packages/flash_attn-1.0.dist-info"))
    assert read_pins(environment) == {"torch": "2"}


def test_one_wheel_of_a_component_is_kept_and_goes_with_it(tmp_path, house):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    for version in ("1.0", "2.0"):
        house.add("flash_attn", version)
        put_wheel(old, house.path / f"flash_attn-{version}-py3-none-any.whl")
    assert {name: version for name, (version, _) in wheels_in(old).items()} == {"flash-attn": "2.0"}
    keep_wheel(new, old, "flash-attn")
    keep_wheel(new, old, "apex")
    keep_wheel(new, None, "flash-attn")
    assert {name: version for name, (version, _) in wheels_in(new).items()} == {"flash-attn": "2.0"}
