"""Plain loads into layers that the kernels hold in another layout, with torch on the CPU."""

from __future__ import annotations

import types

import pytest

torch = pytest.importorskip("torch")

from verl_env_runtime.fp8.layout import record_of  # noqa: E402
from verl_env_runtime.fp8.refit import refit  # noqa: E402
from verl_env_runtime.fp8.staging import RefitFailed  # noqa: E402
from verl_env_runtime.moe import wrap_layout  # noqa: E402
from verl_env_runtime.plain import IncompleteLoad  # noqa: E402

EXPERTS, WIDTH, INNER = 3, 8, 16


class Experts(torch.nn.Module):
    """Experts with vLLM's way of loading: by shard and expert, through the parameter or the layer."""

    layer_name = "model.layers.0.mlp.experts"

    def __init__(self, padding=0):
        super().__init__()
        self.padding = padding
        shapes = {"w13_weight": (EXPERTS, 2 * INNER, WIDTH + padding), "w2_weight": (EXPERTS, WIDTH + padding, INNER)}
        for name, shape in shapes.items():
            parameter = torch.nn.Parameter(torch.zeros(shape, dtype=torch.bfloat16), requires_grad=False)
            parameter.weight_loader = self.weight_loader
            self.register_parameter(name, parameter)

    def weight_loader(self, param, loaded_weight, weight_name, shard_id, expert_id, return_success=False):
        if expert_id >= EXPERTS:
            return False if return_success else None
        target = param.data[expert_id]
        if shard_id != "w2":
            target = target.narrow(0, INNER * (shard_id == "w3"), INNER)
        target[: loaded_weight.shape[0], : loaded_weight.shape[1]].copy_(loaded_weight)
        return True if return_success else None


def exchanged(_method, layer):
    first, second = layer.w13_weight.data.chunk(2, dim=1)
    layer.w13_weight = torch.nn.Parameter(torch.cat([second, first], dim=1), requires_grad=False)


def blocks(method, layer):
    exchanged(method, layer)
    for name in ("w13_weight", "w2_weight"):
        data = getattr(layer, name).data
        made = data.reshape(EXPERTS, data.shape[1], -1, 4).permute(0, 2, 1, 3).contiguous()
        setattr(layer, name, torch.nn.Parameter(made, requires_grad=False))


def in_place(_method, layer):
    layer.w13_weight.data.copy_(layer.w13_weight.data.roll(INNER, dims=1).clone())


LAYOUTS = [exchanged, blocks, in_place]


def weights(seed):
    generator = torch.Generator().manual_seed(seed)
    for expert in range(EXPERTS + 1):  # one that is not local
        for shard, name, shape in (("w1", "w13", (INNER, WIDTH)), ("w3", "w13", (INNER, WIDTH)), ("w2", "w2", None)):
            data = torch.randn(shape or (WIDTH, INNER), generator=generator).bfloat16()
            yield name + "_weight", data, shard, expert


def load(layer, seed, keep=lambda _n: True, through="parameter"):
    for number, (name, data, shard, expert) in enumerate(weights(seed)):
        if keep(number):
            parameter = getattr(layer, name)
            loader = parameter.weight_loader if through == "parameter" else layer.weight_loader
            loaded = loader(parameter, data, name, shard_id=shard, expert_id=expert, return_success=True)
            assert loaded is (expert < EXPERTS)


def made(process, seed, padding=0):
    layer = Experts(padding)
    load(layer, seed)
    method = types.SimpleNamespace()
    run = wrap_layout(process)
    run(method, layer)
    return layer, lambda: run(method, layer)


def values(layer):
    return {name: parameter.data.clone() for name, parameter in layer.named_parameters()}


def same(left, right):
    return all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("again", [False, True], ids=["load alone", "and processed after it"])
@pytest.mark.parametrize("through", ["parameter", "layer"])
@pytest.mark.parametrize("process", LAYOUTS)
def test_a_plain_load_gives_a_fresh_layer_in_the_same_memory(process, through, again):
    layer, processed = made(process, 1)
    places = {name: value.data_ptr() for name, value in layer.named_parameters()}
    for seed in (2, 3):
        load(layer, seed, through=through)
        if again:
            processed()
        assert same(values(layer), values(made(process, seed)[0]))
    assert {name: value.data_ptr() for name, value in layer.named_parameters()} == places


@pytest.mark.parametrize("process", LAYOUTS)
def test_the_old_weights_are_whole_until_the_last_one_is_in(process):
    layer, _ = made(process, 1)
    old = values(layer)
    load(layer, 2, keep=lambda number: number < 8)
    assert same(values(layer), old)
    load(layer, 2, keep=lambda number: number >= 8)
    assert same(values(layer), values(made(process, 2)[0]))


@pytest.mark.parametrize("process", LAYOUTS)
def test_processing_a_part_says_what_is_missing_and_keeps_the_old(process):
    layer, processed = made(process, 1)
    old = values(layer)
    load(layer, 2, keep=lambda number: number in {0, 1, 2})
    with pytest.raises(
        IncompleteLoad, match=r"mlp\.experts lacks new weights: w13_weight \(33% of it came\)"
    ) as caught:
        processed()
    assert set(caught.value.parameters) == {"w13_weight", "w2_weight"}
    assert same(values(layer), old)
    load(layer, 3)
    processed()
    assert same(values(layer), values(made(process, 3)[0]))


def test_the_same_shard_twice_is_no_second_one():
    layer, processed = made(exchanged, 1)
    for _ in range(9):
        load(layer, 2, keep=lambda number: number == 0)
    with pytest.raises(IncompleteLoad):
        processed()


def test_padding_that_no_checkpoint_has_is_not_waited_for():
    layer, _ = made(exchanged, 1, padding=8)
    load(layer, 2)
    fresh = made(exchanged, 2, padding=8)[0]
    assert torch.equal(layer.w13_weight[..., :WIDTH], fresh.w13_weight[..., :WIDTH])
    assert torch.equal(layer.w2_weight[:, :WIDTH], fresh.w2_weight[:, :WIDTH])


def test_processing_twice_without_a_load_does_not_exchange_twice():
    layer, processed = made(exchanged, 1)
    old = values(layer)
    processed()
    assert same(values(layer), old)


def test_a_layout_that_is_the_checkpoints_is_left_to_vllm():
    calls = []
    layer, processed = made(lambda *_: calls.append(1), 1)
    load(layer, 2)
    processed()
    assert same(values(layer), values(made(lambda *_: None, 2)[0]))
    assert calls == [1, 1]
    assert not record_of(layer).staged


def test_vllms_own_reload_is_processed_by_vllm():
    layer, processed = made(exchanged, 1)
    kept = dict(layer._parameters)
    other = Experts()
    load(other, 2)
    layer._parameters.update(other._parameters)
    processed()
    assert same(values(layer), values(made(exchanged, 2)[0]))
    layer._parameters.update(kept)
    load(layer, 3)
    assert same(values(layer), values(made(exchanged, 3)[0]))


def test_inside_a_refit_loads_go_where_the_refit_has_made_room():
    layer, _ = made(blocks, 1)
    with refit(layer):
        load(layer, 2)
    assert same(values(layer), values(made(blocks, 2)[0]))


def test_processing_that_fails_leaves_the_old_weights_and_says_so():
    fails = []

    def process(method, layer):
        exchanged(method, layer)
        if fails:
            raise ValueError("no")

    layer, _ = made(process, 1)
    old = values(layer)
    fails.append(1)
    with pytest.raises(RefitFailed, match=r"ValueError: no.*model\.layers\.0\.mlp\.experts"):
        load(layer, 2)
    assert same(values(layer), old)


def test_what_processing_marks_on_a_parameter_stays():
    def shuffled(method, layer):
        exchanged(method, layer)
        layer.w13_weight.is_shuffled = True

    assert made(shuffled, 1)[0].w13_weight.is_shuffled
