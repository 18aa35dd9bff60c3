"""Whether a part can be tried."""

import pytest

from tests.verify.subjects import part, subject
from verl_env.verify.load import load_parts
from verl_env.verify.possible import obstacle


@pytest.mark.parametrize(
    ("changes", "of", "words"),
    [
        ({}, {}, None),
        ({"gpus": 0, "gpu": None, "capability": None}, {}, "no GPU"),
        ({}, {"gpus": 2}, "takes 2 GPUs; 1 is here"),
        ({"capability": "7.5", "gpu": "Tesla T4"}, {"capability": "8.0"}, "Tesla T4 has 7.5"),
        ({"capability": "10.0"}, {"capability": "8.0"}, None),
        ({"capability": None}, {"capability": "8.0"}, None),
        ({"packages": {}}, {"needs": ("verl", "torch")}, "verl and torch are not in the environment"),
    ],
)
def test_the_obstacle_is_named(changes, of, words):
    found = obstacle(part(**of), subject(**changes))
    assert found is None if words is None else words in found


def test_without_a_gpu_nothing_is_tried():
    every = {name: "1" for each in load_parts() for name in each.needs}
    assert all(obstacle(each, subject(gpus=0, packages=every)) == "there is no GPU here" for each in load_parts())
