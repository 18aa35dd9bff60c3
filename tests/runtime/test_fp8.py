"""Quantizing and refitting with torch on the CPU; skipped where there is no torch."""

from __future__ import annotations

import inspect
import re
import sys
import types

import pytest

torch = pytest.importorskip("torch")

from verl_env_runtime import journal  # noqa: E402
from verl_env_runtime.fp8 import layout, staging  # noqa: E402
from verl_env_runtime.fp8.layout import fingerprint, record_of  # noqa: E402
from verl_env_runtime.fp8.names import Selection, quantize_weights  # noqa: E402
from verl_env_runtime.fp8.quantize import scaled_fp8_blockwise  # noqa: E402
from verl_env_runtime.fp8.refit import IncompleteRefit, RefitFailed, load_quantized, refit  # noqa: E402
from verl_env_runtime.fp8.reload import _has_gaps  # noqa: E402
from verl_env_runtime.fp8.wrap import wrap  # noqa: E402

SHAPES = [(128, 128), (256, 384), (300, 200), (1, 1), (1, 300), (129, 1), (127, 255)]


def dequantized(quantized, descale, weight_block_size=(128, 128)):
    """The float32 matrix that a quantized one stands for."""
    rows, columns = weight_block_size
    height, width = quantized.shape
    spread = descale.repeat_interleave(rows, 0)[:height].repeat_interleave(columns, 1)[:, :width]
    return quantized.float() * spread


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("block", [(128, 128), (64, 32), (1, 128), (100, 7)])
def test_the_formula_block_by_block(shape, dtype, block):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    codes, scales = scaled_fp8_blockwise(x, block)
    assert (codes.dtype, codes.shape, codes.is_contiguous()) == (torch.float8_e4m3fn, x.shape, True)
    assert (scales.dtype, scales.shape) == (torch.float32, (-(-shape[0] // block[0]), -(-shape[1] // block[1])))
    for i in range(scales.shape[0]):
        for j in range(scales.shape[1]):
            rows, columns = slice(i * block[0], (i + 1) * block[0]), slice(j * block[1], (j + 1) * block[1])
            part = x[rows, columns].float()
            assert torch.isclose(scales[i, j], part.abs().max() / 448, rtol=2.4e-7)
            assert codes[rows, columns].float().abs().max() == 448


@pytest.mark.parametrize("shape", SHAPES)
def test_the_error_is_that_of_the_format(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    back = dequantized(*scaled_fp8_blockwise(x))
    assert (back - x).abs().max() <= x.abs().max() * 16 / 448


@pytest.mark.parametrize(
    ("fill", "scale", "code"),
    [(0.0, 1.0, 0.0), (1e-37, 1.0, 0.0), (1e-40, 1.0, 0.0), (1e-12, 1e-12 / 448, 448.0), (3e38, 3e38 / 448, 448.0)],
)
def test_blocks_of_one_value(fill, scale, code):
    codes, scales = scaled_fp8_blockwise(torch.full((128, 128), fill))
    assert torch.isclose(scales, torch.tensor([[scale]]), rtol=1e-6).all()
    assert (codes.float() == code).all()


def test_an_infinity_is_the_largest_value_and_spares_the_rest():
    x = torch.ones(256, 128)
    x[0, 0], x[1, 1] = float("inf"), float("-inf")
    codes, scales = scaled_fp8_blockwise(x)
    assert (codes[0, 0].float(), codes[1, 1].float(), codes[2, 2].float()) == (448, -448, 1)
    assert scales[0, 0] == 1
    assert torch.isclose(scales[1, 0], torch.tensor(1 / 448))


def test_nan_does_not_vanish_and_stays_in_its_block():
    x = torch.ones(256, 128)
    x[3, 3] = float("nan")
    codes, scales = scaled_fp8_blockwise(x)
    assert codes[:128].float().isnan().all()
    assert scales[0, 0].isnan()
    assert not codes[128:].float().isnan().any()


def test_strided_input_and_empty_input():
    x = torch.randn(260, 300).t()[5:, ::2]
    mine, other = scaled_fp8_blockwise(x), scaled_fp8_blockwise(x.contiguous())
    assert torch.equal(mine[0].view(torch.uint8), other[0].view(torch.uint8))
    assert torch.equal(mine[1], other[1])
    assert scaled_fp8_blockwise(torch.zeros(0, 128))[1].shape == (0, 1)


@pytest.mark.parametrize(
    ("data", "block"),
    [
        (torch.zeros(3), (128, 128)),
        (torch.zeros(2, 2, 2), (128, 128)),
        (torch.zeros(2, 2, dtype=torch.int32), (128, 128)),
        (torch.zeros(2, 2), (128,)),
        (torch.zeros(2, 2), (0, 128)),
    ],
)
def test_what_is_no_matrix_or_no_block(data, block):
    with pytest.raises(ValueError):
        scaled_fp8_blockwise(data, block)


class Loading(torch.nn.Parameter):
    """A parameter whose class knows how to load, as vLLM's do."""

    def load(self, tensor):
        self.data.copy_(tensor)


class Method:
    block_quant = True
    quant_config = types.SimpleNamespace(is_checkpoint_fp8_serialized=True, weight_block_size=[128, 128])

    def __init__(self, process):
        self.process_weights_after_loading = types.MethodType(wrap(process), self)


def bare(_method, layer):
    layer.weight = torch.nn.Parameter(layer.weight.data, requires_grad=False)
    layer.weight_scale_inv = torch.nn.Parameter(layer.weight_scale_inv.data, requires_grad=False)


def transposing(method, layer):
    bare(method, layer)
    layer.weight_scale_inv = torch.nn.Parameter(layer.weight_scale_inv.data.T.contiguous(), requires_grad=False)


def renaming(method, layer):
    transposing(method, layer)
    scale = layer.weight_scale_inv.data
    del layer.weight_scale_inv
    layer.weight_scale = torch.nn.Parameter(scale, requires_grad=False)


def requantizing(method, layer):
    layer.weight.data.copy_((layer.weight.float() / 2).to(torch.float8_e4m3fn))
    layer.weight_scale_inv.data.mul_(2)
    bare(method, layer)


def packing(_method, layer):
    layer.weight = torch.nn.Parameter(layer.weight.data.view(torch.int32).contiguous(), requires_grad=False)
    layer.extra = layer.weight_scale_inv.data.sum()
    method_state = getattr(_method, "calls", 0)
    _method.calls = method_state + 1
    layer.weight_scale_inv = torch.nn.Parameter(layer.weight_scale_inv.data, requires_grad=False)


def square(method, layer):
    """The same with a square scale that is its own transpose in the first weights."""
    transposing(method, layer)


def square_weights(seed):
    codes, scales = scaled_fp8_blockwise(torch.randn(256, 256, generator=torch.Generator().manual_seed(seed)))
    return {"weight": codes, "weight_scale_inv": torch.ones(2, 2) if seed == 1 else scales}


PROCESSES = [bare, transposing, renaming, requantizing, packing]


class Model(torch.nn.Module):
    def __init__(self, process, seed=1):
        super().__init__()
        layer = torch.nn.Module()
        layer.quant_method = Method(process)
        width = 256 if process is square else 384
        layer.register_parameter("weight", loading(256, width, torch.float8_e4m3fn))
        layer.register_parameter("weight_scale_inv", loading(2, width // 128, torch.float32))
        layer.register_parameter("input_scale", None)
        self.qkv_proj = layer
        self.norm = torch.nn.Parameter(torch.ones(4))
        self.load_weights((square_weights if process is square else weights)(seed).items())
        layer.quant_method.process_weights_after_loading(layer)

    def load_weights(self, new):
        parameters = dict(self.named_parameters())
        for name, tensor in new:
            parameters["qkv_proj." + name].load(tensor)


def loading(*arguments):
    *shape, dtype = arguments
    parameter = Loading(torch.zeros(shape).to(dtype), requires_grad=False)
    parameter.weight_loader = "loader"
    return parameter


def weights(seed):
    codes, scales = scaled_fp8_blockwise(
        torch.randn(256, 384, generator=torch.Generator().manual_seed(seed)) * 3.0**seed
    )
    return {"weight": codes, "weight_scale_inv": scales}


def live(model):
    return {name: value.data.clone() for name, value in model.named_parameters()}


def same(left, right):
    return left.keys() == right.keys() and all(
        torch.equal(left[name].contiguous().view(torch.uint8), right[name].contiguous().view(torch.uint8))
        for name in left
    )


@pytest.fixture(autouse=True)
def _no_faults(monkeypatch):
    monkeypatch.setattr(journal, "faults", [])
    yield
    assert journal.faults == []


@pytest.mark.parametrize("process", PROCESSES)
def test_a_refitted_model_is_a_fresh_one_in_the_same_memory(process):
    model, fresh = Model(process), Model(process, seed=2)
    objects = dict(model.named_parameters())
    places = {name: value.data_ptr() for name, value in objects.items()}
    attributes = {name: value for name, value in vars(model.qkv_proj).items() if not isinstance(value, torch.Tensor)}
    for _ in range(2):
        with refit(model):
            model.load_weights(weights(2).items())
        assert same(live(model), live(fresh))
        assert all(objects[name] is value for name, value in model.named_parameters())
        assert places == {name: value.data_ptr() for name, value in model.named_parameters()}
        assert {type(value) for value in model.qkv_proj.parameters()} == {torch.nn.Parameter}
    assert {name: vars(model.qkv_proj)[name] for name in attributes} == attributes
    if process is packing:
        assert model.qkv_proj.extra == fresh.qkv_proj.extra
        assert model.qkv_proj.quant_method.calls == 1


@pytest.mark.parametrize("process", PROCESSES)
def test_an_error_while_loading_leaves_the_layout(process):
    model = Model(process)
    before = live(model)
    with pytest.raises(ZeroDivisionError), refit(model):
        raise ZeroDivisionError
    assert same(live(model), before)


@pytest.mark.parametrize("process", PROCESSES)
def test_a_layer_that_gets_nothing_keeps_its_weights(process):
    model = Model(process)
    before = live(model)
    with refit(model):
        pass
    assert same(live(model), before)


def one_row_block(name):
    """A load of the first half of a parameter."""

    def load(model):
        parameter = dict(model.named_parameters())["qkv_proj." + name]
        parameter.data[: len(parameter) // 2].copy_(weights(2)[name][: len(parameter) // 2])

    return load


def whole(name):
    return lambda model: model.load_weights([(name, weights(2)[name])])


PARTS = {
    "codes alone": ([whole("weight")], ("weight_scale_inv",)),
    "scales alone": ([whole("weight_scale_inv")], ("weight",)),
    "half the codes": ([one_row_block("weight"), whole("weight_scale_inv")], ("weight",)),
    "half the scales": ([whole("weight"), one_row_block("weight_scale_inv")], ("weight_scale_inv",)),
    "half of both": ([one_row_block("weight"), one_row_block("weight_scale_inv")], ("weight", "weight_scale_inv")),
}


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_layer_leaves_the_old_weights_whole(process, part):
    model, fresh = Model(process), Model(process, seed=2)
    before, (loads, missing) = live(model), PARTS[part]
    places = {name: value.data_ptr() for name, value in model.named_parameters()}
    with pytest.raises(IncompleteRefit, match="has its old value") as caught, refit(model):  # noqa: PT012  on leaving
        model.norm.data.fill_(7)
        for load in loads:
            load(model)
    assert caught.value.layers == {"qkv_proj": missing}
    assert same(live(model), before)
    assert places == {name: value.data_ptr() for name, value in model.named_parameters()}
    with refit(model):
        model.load_weights(weights(2).items())
    assert same(live(model), live(fresh))


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("part", [*PARTS, "all"])
def test_an_exception_after_a_load_leaves_the_old_weights_whole(process, part):
    model = Model(process)
    before = live(model)
    loads = PARTS[part][0] if part in PARTS else [whole("weight"), whole("weight_scale_inv")]
    with pytest.raises(KeyError), refit(model):  # noqa: PT012  loads come first
        model.norm.data.fill_(7)
        for load in loads:
            load(model)
        raise KeyError
    assert same(live(model), before)


def test_a_layer_that_is_whole_waits_for_one_that_is_not():
    model = torch.nn.ModuleList([Model(bare), Model(transposing)])
    before = live(model)
    with pytest.raises(IncompleteRefit) as caught, refit(model):  # noqa: PT012  on leaving
        model[0].load_weights(weights(2).items())
        whole("weight")(model[1])
    assert list(caught.value.layers) == ["1.qkv_proj"]
    assert same(live(model), before)


@pytest.mark.parametrize("given", [True, False])
def test_a_bias_may_stay_away_as_a_whole(given):
    model = Model(bare)
    layer = model.qkv_proj
    layer.register_parameter("bias", loading(256, torch.bfloat16))
    layer.bias.data.fill_(3)
    layout._records.pop(layer)
    layer.weight.__class__ = layer.weight_scale_inv.__class__ = Loading
    layer.quant_method.process_weights_after_loading(layer)
    with refit(model):
        model.load_weights(weights(2).items())
        if given:
            layer.bias.data.fill_(4)
    assert set(layer.bias.tolist()) == {4.0 if given else 3.0}
    assert torch.equal(layer.weight.float(), Model(bare, seed=2).qkv_proj.weight.float())


@pytest.mark.parametrize("process", PROCESSES)
def test_a_refit_inside_another_leaves_its_layers_to_the_outer_one(process):
    model, fresh = Model(process), Model(process, seed=2)
    with refit(model):
        for name, tensor in weights(2).items():
            with refit(model):
                model.load_weights([(name, tensor)])
    assert same(live(model), live(fresh))


class Reload(types.SimpleNamespace):
    """vLLM's layerwise reload of one linear layer, as far as a refit looks at it."""

    def __init__(self, monkeypatch):
        self.model, self.calls = torch.nn.Linear(2, 2, bias=False), []
        self.kept = self.model.weight
        self.info = types.SimpleNamespace(
            restore_metadata=({"weight": 1}, {}), load_numel_total=None, load_numel=0, loaded_weights=[]
        )
        name = "vllm.model_executor.model_loader.reload"
        layerwise = types.SimpleNamespace(LAYERWISE_INFO={self.model: self.info})
        monkeypatch.setitem(sys.modules, "vllm", types.ModuleType("vllm"))
        monkeypatch.setitem(sys.modules, name, self)
        monkeypatch.setitem(sys.modules, name + ".layerwise", layerwise)

    def initialize_layerwise_reload(self, _model):
        self.calls.append("begin")
        self.info.load_numel_total = 4
        self.model._parameters["weight"] = torch.nn.Parameter(self.kept.data.to("meta"), requires_grad=False)
        self.model.weight.weight_loader = self.loader

    def loader(self, param, loaded, row):
        param.data[row].copy_(loaded)

    def load(self, row, value):
        given = inspect.signature(self.loader).bind(self.model.weight, torch.full((2,), value), row=row)
        self.info.loaded_weights.append(("weight", given))
        self.info.load_numel += 2

    def finalize_layerwise_reload(self, _model, _config):
        self.calls.append("end")
        self.model._parameters["weight"] = self.kept
        for _, given in self.info.loaded_weights:
            self.loader(self.kept, given.arguments["loaded"], given.arguments["row"])
        self.info.loaded_weights.clear()
        self.info.load_numel, self.info.load_numel_total = 0, None


def test_a_refit_inside_one_of_vllms_own_leaves_the_end_to_the_outer_one(monkeypatch):
    reload = Reload(monkeypatch)
    for _ in range(2):
        with refit(reload.model):
            with refit(reload.model):
                reload.calls.append("inner")
            reload.calls.append("outer")
    assert reload.calls == ["begin", "inner", "outer", "end"] * 2


def test_vllm_gets_no_layer_with_a_part_of_its_weights(monkeypatch):
    reload = Reload(monkeypatch)
    old = reload.kept.data.clone()
    with pytest.raises(IncompleteRefit) as caught, refit(reload.model):
        reload.load(1, 7.0)
    assert caught.value.layers == {"": ("weight",)}
    assert reload.model.weight is reload.kept
    assert torch.equal(reload.kept.data, old)
    with refit(reload.model):
        reload.load(0, 7.0)
        reload.load(1, 8.0)
    assert reload.kept.data.tolist() == [[7.0, 7.0], [8.0, 8.0]]


def test_an_exception_beside_what_vllm_has_put_into_force_gives_the_old_weights_back(monkeypatch):
    reload = Reload(monkeypatch)
    old = reload.kept.data.clone()
    with pytest.raises(KeyError), refit(reload.model):  # noqa: PT012
        reload.load(0, 7.0)
        reload.kept.data.fill_(9.0)  # another layer that was whole
        raise KeyError
    assert torch.equal(reload.kept.data, old)


def test_a_reload_that_fails_in_vllm_says_that_the_old_weights_are_in_force(monkeypatch):
    reload = Reload(monkeypatch)
    old, end = reload.kept.data.clone(), reload.finalize_layerwise_reload

    def fails_once(model, config):
        reload.finalize_layerwise_reload = end
        reload.kept.data.fill_(9.0)
        raise ValueError("no")

    reload.finalize_layerwise_reload = fails_once
    says = r"ValueError: no.*Every parameter of the model has its old value"
    with pytest.raises(RefitFailed, match=says), refit(reload.model):  # noqa: PT012
        reload.load(0, 7.0)
        reload.load(1, 7.0)
    assert torch.equal(reload.kept.data, old)


@pytest.mark.parametrize(
    ("name", "shape", "hole", "gaps"),
    [
        ("weight", (4, 6), (slice(1, 2),), True),
        ("weight", (4, 6), (slice(None), slice(4, 6)), False),
        ("w13_weight", (2, 8, 6), (1, slice(4, 8)), True),
        ("w13_weight", (2, 8, 6), (slice(None), slice(2, 4)), False),
        ("w2_weight", (2, 8, 6), (1,), True),
        ("w2_weight", (2, 8, 6), (slice(None), slice(7, 8)), False),
        ("bias", (4,), (slice(3, 4),), True),
    ],
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn])
def test_a_row_is_a_gap_and_the_padding_of_experts_is_none(name, shape, hole, gaps, dtype):
    data = torch.ones(shape).to(dtype)
    assert not _has_gaps(name, data)
    hollow = torch.ones(shape, dtype=torch.bool)
    hollow[hole] = False
    filled = data.clone()
    staging.blank(filled)
    filled.view(torch.uint8 if dtype.itemsize == 1 else torch.int16)[hollow] = 1
    assert _has_gaps(name, filled) is gaps


def test_a_layer_that_cannot_be_staged_leaves_those_before_it(monkeypatch):
    model = torch.nn.ModuleList([Model(transposing), Model(transposing)])
    before, made, buffer = live(model), [], staging._buffer

    def fails_at_the_second(slot, device):
        made.append(slot)
        if len(made) > 1:
            raise MemoryError
        return buffer(slot, device)

    monkeypatch.setattr(staging, "_buffer", fails_at_the_second)
    with pytest.raises(MemoryError), refit(model):
        raise AssertionError
    assert len(made) == 2
    assert same(live(model), before)
    monkeypatch.undo()
    with refit(model):
        model[0].load_weights(weights(2).items())
        model[1].load_weights(weights(2).items())
    assert same(live(model[1]), live(Model(transposing, seed=2)))


@pytest.mark.parametrize("mutates", [False, True])
def test_a_layer_whose_processing_fails_keeps_its_old_weights_and_the_error_says_so(mutates):
    model = torch.nn.ModuleList([Model(transposing), Model(transposing), Model(transposing)])
    before = live(model[0])

    def fails(_method, layer):
        if mutates:
            layer.weight.data.fill_(1)
        raise ZeroDivisionError("no kernel")

    object.__setattr__(record_of(model[0].qkv_proj), "process", fails)
    said = "old weights: 0.qkv_proj, 2.qkv_proj; with the new ones: 1.qkv_proj;"
    with pytest.raises(RefitFailed, match=re.escape(said)) as caught, refit(model):  # noqa: PT012  on leaving
        model[0].load_weights(weights(2).items())
        model[1].load_weights(weights(2).items())
    assert (caught.value.old, caught.value.new) == (("0.qkv_proj", "2.qkv_proj"), ("1.qkv_proj",))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert same(live(model[0]), before)
    assert same(live(model[1]), live(Model(transposing, seed=2)))


def test_processing_that_gives_another_shape_changes_nothing():
    model = Model(packing)
    before, extra = live(model), model.qkv_proj.extra.clone()

    def other(method, layer):
        packing(method, layer)
        layer.weight = torch.nn.Parameter(layer.weight.data[:3], requires_grad=False)

    object.__setattr__(record_of(model.qkv_proj), "process", other)
    with pytest.raises(RefitFailed, match="shape"), refit(model):
        model.load_weights(weights(2).items())
    assert same(live(model), before)
    assert model.qkv_proj.extra == extra


def test_a_parameter_quantizes_to_plain_tensors():
    codes, scales = scaled_fp8_blockwise(torch.nn.Parameter(torch.randn(128, 128)))
    assert not codes.requires_grad
    assert not scales.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn])
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
def test_what_is_missing_in_any_layout(dtype, order):
    data = torch.zeros(2, 4, 8).to(dtype).permute(order)
    staging.blank(data)
    assert staging._missing(data) == 1
    data[0].fill_(1)
    assert 0 < staging._missing(data) < 1
    data.fill_(1)
    assert staging._missing(data) == 0


def test_the_loading_class_is_back_inside_and_gone_outside():
    model = Model(bare)
    assert model.qkv_proj.weight.subclass_type is Loading
    with refit(model):
        assert type(model.qkv_proj.weight) is Loading
    assert type(model.qkv_proj.weight) is torch.nn.Parameter


def test_weights_that_moved_meanwhile_are_written_where_they_are():
    model = Model(bare)
    model.qkv_proj.weight.data = model.qkv_proj.weight.data.clone()
    place = model.qkv_proj.weight.data_ptr()
    with refit(model):
        model.load_weights(weights(2).items())
    assert model.qkv_proj.weight.data_ptr() == place
    assert same(live(model), live(Model(bare, seed=2)))


def test_layers_that_are_not_block_quantized_have_no_record():
    model = Model(bare)
    assert record_of(model.qkv_proj) is not None
    method = Method(bare)
    method.block_quant = False
    layer = Model(bare).qkv_proj
    fresh = torch.nn.Module()
    fresh.weight, fresh.weight_scale_inv = layer.weight, layer.weight_scale_inv
    method.process_weights_after_loading(fresh)
    assert record_of(fresh) is None


def test_a_later_processing_belongs_to_whoever_staged_the_layer():
    model = Model(transposing)
    layer, record = model.qkv_proj, record_of(model.qkv_proj)
    staged = {name: torch.nn.Parameter(value, requires_grad=False) for name, value in weights(2).items()}
    layer._parameters.update(staged)
    layer.quant_method.process_weights_after_loading(layer)
    assert all(layer._parameters[name] is not value for name, value in staged.items())
    assert record_of(layer) is record


def test_a_process_that_fails_in_a_refit_raises_and_restores():
    model = Model(transposing)
    before = live(model)

    def fails(_method, _layer):
        raise ZeroDivisionError

    record = record_of(model.qkv_proj)
    object.__setattr__(record, "process", fails)
    with pytest.raises(RefitFailed), refit(model):
        model.load_weights(weights(2).items())
    assert same(live(model), before)


def test_rows_that_change_places_change_the_fingerprint():
    x = torch.randn(4, 8)
    assert not torch.equal(fingerprint(x), fingerprint(x[[1, 0, 2, 3]]))
    assert not torch.equal(fingerprint(x), fingerprint(x[:, [4, 5, 6, 7, 0, 1, 2, 3]]))
    assert torch.equal(fingerprint(x), fingerprint(x.clone()))


@pytest.mark.parametrize("seed", range(300))
def test_a_square_scale_that_is_transposed_is_noticed(seed):
    scale = torch.rand(2, 2, generator=torch.Generator().manual_seed(seed)) / 1000
    assert not torch.equal(fingerprint(scale), fingerprint(scale.T.contiguous()))


def test_columns_that_change_places_change_the_fingerprint(monkeypatch):
    data = torch.randn(64, 32, generator=torch.Generator().manual_seed(5)).to(torch.float8_e4m3fn)
    other = data.clone()
    other.view(torch.uint8)[:, [1, 2]] = data.view(torch.uint8)[:, [2, 1]]
    whole = fingerprint(data)
    assert not torch.equal(whole, fingerprint(other))
    monkeypatch.setattr(layout, "_AT_ONCE", 100)
    assert torch.equal(whole, fingerprint(data))


def test_a_layout_that_the_first_weights_do_not_show_is_kept():
    model = Model(square)
    fresh = Model(square, seed=2)
    with refit(model):
        model.load_weights(square_weights(2).items())
    assert same(live(model), live(fresh))


def test_high_precision_weights_are_quantized_on_the_way():
    model, fresh = Model(bare), Model(bare)
    new = torch.randn(256, 384)
    with refit(fresh):
        codes, scales = scaled_fp8_blockwise(new)
        fresh.load_weights([("weight", codes), ("weight_scale_inv", scales)])
    model.load_weights = lambda found: [dict(model.named_parameters())[name].load(tensor) for name, tensor in found]
    load_quantized(model, [("qkv_proj.weight", new)])
    assert same(live(model), live(fresh))


def named_model(paths, mapping=None, mapper=None):
    root = torch.nn.Module()
    for path in paths:
        module = root
        for part in path.split("."):
            if part not in dict(module.named_children()):
                module.add_module(part, torch.nn.Module())
            module = getattr(module, part)
        module.quant_method = Method(bare)
    if mapping is not None:
        root.packed_modules_mapping = mapping
    if mapper is not None:
        root.hf_to_vllm_mapper = types.SimpleNamespace(_map_name=mapper)
    return root


NAMES = [
    ("a.o_proj.weight", True),
    ("a.q_proj.weight", True),
    ("a.gate_proj.weight", True),
    ("a.fused_a.weight", True),
    ("a.experts.3.down_proj.weight", True),
    ("b.experts.0.w1.weight", True),
    ("a.router.weight", False),
    ("a.norm.weight", False),
    ("c.q_proj.weight", False),
    ("a.o_proj.bias", False),
    ("a.o_proj.weight_scale_inv", False),
    ("old.o_proj.weight", True),
    ("dropped.o_proj.weight", False),
]


@pytest.mark.parametrize(("name", "chosen"), NAMES)
def test_which_weights_are_quantized(name, chosen):
    paths = ["a.o_proj", "a.qkv_proj", "a.gate_up_proj", "a.fused", "a.experts", "b.experts.routed_experts"]
    mapper = {"old.o_proj.weight": "a.o_proj.weight", "dropped.o_proj.weight": None}
    model = named_model(paths, {"fused": ["fused_a", "fused_b"]}, lambda text: mapper.get(text, text))
    assert (Selection(model).block(name) is not None) == chosen


def test_what_is_not_to_be_quantized_goes_through():
    model = named_model(["a"])
    codes = torch.zeros(4, 4).to(torch.float8_e4m3fn)
    given = [
        ("a.weight", codes),
        ("a.weight", torch.zeros(4)),
        ("b.weight", torch.zeros(4, 4)),
        ("a.weight", torch.zeros(2, 2)),
    ]
    found = list(quantize_weights(given, model))
    assert [name for name, _ in found] == ["a.weight", "a.weight", "b.weight", "a.weight", "a.weight_scale_inv"]
    assert all(one is two for (_, one), (_, two) in zip(found[:3], given[:3], strict=True))
