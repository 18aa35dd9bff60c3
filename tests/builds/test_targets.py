import pytest

from tests.builds.facts import job
from verl_env.builds.targets import gpu_targets, written
from verl_env.machine.model import UNKNOWN, Amd, AmdDevice, Machine, Nvidia, NvidiaDevice


def nvidia(*capabilities):
    return Machine(nvidia=Nvidia(devices=tuple(NvidiaDevice(0, compute_capability=each) for each in capabilities)))


@pytest.mark.parametrize(
    ("machine", "accelerator", "targets"),
    [
        (None, "cuda", ()),
        (Machine(), "cuda", ()),
        (Machine(nvidia=None), "cuda", ()),
        (nvidia("9.0"), "cuda", ("9.0",)),
        (nvidia("10.0", "9.0", "9.0", "8.6"), "cuda", ("8.6", "9.0", "10.0")),
        (nvidia("9.0", UNKNOWN, None), "cuda", ("9.0",)),
        (nvidia("9.0"), "rocm", ()),
        (
            Machine(amd=Amd(devices=(AmdDevice(0, gfx="gfx942"), AmdDevice(1, gfx="gfx90a")))),
            "rocm",
            ("gfx90a", "gfx942"),
        ),
    ],
)
def test_targets_are_those_of_the_machine(machine, accelerator, targets):
    assert gpu_targets(machine, accelerator) == targets


@pytest.mark.parametrize(
    ("targets", "style", "text"),
    [(("8.0", "9.0"), "dotted", "8.0;9.0"), (("8.0", "10.0"), "plain", "80;100"), (("gfx942",), "gfx", "gfx942")],
)
def test_targets_are_written_as_the_recipe_says(targets, style, text):
    assert written(targets, job(arch_style=style).recipe) == text
