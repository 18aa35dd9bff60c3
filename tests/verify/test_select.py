"""Which parts a name means."""

import pytest

from verl_env.verify.errors import PartUnknownError
from verl_env.verify.select import select


def ids(*names):
    return [part.id for part in select(names)]


def test_a_part_is_meant_by_its_own_name_alone():
    assert ids("refit-vllm") == ["refit-vllm"]


def test_a_name_that_no_part_has_is_a_beginning():
    assert {"train-fsdp-vllm", "train-megatron-sglang"} <= set(ids("train"))
    assert set(ids("several")) == {part for part in ids() if part.startswith("several-")}


def test_the_order_is_that_of_the_list():
    assert ids("refit-vllm", "attention") == ["attention", "refit-vllm"]


def test_another_name_is_refused():
    with pytest.raises(PartUnknownError):
        select(["refit-vll"])
