import pytest

from verl_env.machine.gpu_code import Fit, cuda_code, gfx_code


@pytest.mark.parametrize(
    ("sass", "ptx", "capability", "runs"),
    [
        ({"8.0"}, set(), "8.6", True),
        ({"8.6"}, set(), "8.0", False),
        ({"9.0"}, set(), "10.0", False),
        ({"8.0"}, {"9.0"}, "12.0", True),
        ({"8.0"}, {"12.0"}, "9.0", False),
        ({"12.0"}, set(), "12.1", True),
        (set(), set(), "9.0", False),
        ({"10.0"}, set(), "10.7", False),
        ({"9.0a"}, {"9.0a"}, "10.0", False),
    ],
)
def test_what_runs_where(sass: set[str], ptx: set[str], capability: str, runs: object) -> None:
    assert (cuda_code(sass, ptx, capability) is not Fit.NONE) is runs


@pytest.mark.parametrize(
    ("targets", "gfx", "runs"),
    [
        ({"gfx942"}, "gfx942", True),
        ({"gfx90a"}, "gfx942", False),
        ({"gfx9-4-generic"}, "gfx950", True),
        ({"gfx9-generic"}, "gfx90a", False),
    ],
)
def test_code_of_one_target_runs_on_no_other(targets, gfx, runs):
    assert gfx_code(targets, gfx) is runs
