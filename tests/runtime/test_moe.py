from __future__ import annotations

from types import SimpleNamespace

import pytest
from verl_env_runtime import journal
from verl_env_runtime.moe import restore_expert_loaders, wrap, wrap_dummy
from verl_env_runtime.parameters import keep_parameters


class Parameter:
    """What the patch uses of torch's; ``data`` of another kind is refused, as by torch."""

    def __init__(self, data, **attributes):
        self.__dict__["_data"] = data
        self.requires_grad = False
        vars(self).update(attributes)

    @property
    def data(self):
        return self._data

    @data.setter
    def data(self, value):
        if type(value) is not type(self._data):
            message = "incompatible tensor type"
            raise RuntimeError(message)
        self.__dict__["_data"] = value

    def requires_grad_(self, value):
        self.requires_grad = value


class Layer:
    def __init__(self, **parameters):
        self._parameters = parameters
        self.weight_loader = lambda: "loader"

    def modules(self):
        return [self]


def layer():
    return Layer(w13_weight=Parameter("a", weight_loader="loader", tag=1), w2_weight=Parameter("b"), bias=None)


def replaced(_self, layer, data="new"):
    layer._parameters["w13_weight"] = Parameter(data)
    return "result"


def test_the_old_object_comes_back_with_the_new_data():
    made = layer()
    old = made._parameters["w13_weight"]
    assert wrap(replaced)(None, made) == "result"
    assert made._parameters["w13_weight"] is old
    assert (old.data, old.weight_loader, old.tag) == ("new", "loader", 1)


def test_what_was_not_replaced_is_untouched():
    made = layer()
    other = made._parameters["w2_weight"]
    wrap(replaced)(None, made)
    assert made._parameters["w2_weight"] is other
    assert made._parameters["bias"] is None


def test_data_that_does_not_fit_keeps_the_new_object_with_the_attributes():
    made = layer()
    wrap(lambda self, layer: replaced(self, layer, data=7))(None, made)
    new = made._parameters["w13_weight"]
    assert (new.data, new.weight_loader, new.tag) == (7, "loader", 1)


def test_attributes_that_the_new_object_has_are_its_own():
    made = layer()
    new = Parameter(7, weight_loader="newer")
    keep_parameters(Layer(w13_weight=new), made._parameters)
    assert (new.weight_loader, new.tag) == ("newer", 1)


def test_parameters_that_went_stay_gone():
    made = layer()
    wrap(lambda _self, layer: layer._parameters.pop("w13_weight"))(None, made)
    assert "w13_weight" not in made._parameters


def test_an_error_of_vllm_is_vllms():
    def fails(_self, _layer):
        raise ValueError

    with pytest.raises(ValueError):
        wrap(fails)(None, layer())


def test_an_error_of_ours_is_noted(monkeypatch):
    monkeypatch.setattr(journal, "faults", [])
    made = layer()
    made._parameters["w13_weight"] = object()
    wrap(replaced)(None, made)
    assert journal.faults[0].startswith("moe-weight-loader: ")


def test_loaders_are_restored_where_they_are_missing_and_only_there():
    made = Layer(w13_weight=Parameter("a"), w2_weight=Parameter("b", weight_loader="own"), other=Parameter("c"))
    assert restore_expert_loaders(made) == 1
    assert made._parameters["w13_weight"].weight_loader is made.weight_loader
    assert made._parameters["w2_weight"].weight_loader == "own"
    assert not hasattr(made._parameters["other"], "weight_loader")
    assert restore_expert_loaders(made) == 0


def test_modules_without_a_loader_are_left_alone():
    made = Layer(w13_weight=Parameter("a"))
    del made.weight_loader
    assert restore_expert_loaders(made) == 0


class Buffer(list):
    """What the patch uses of a tensor."""

    def __init__(self, values, device="cpu"):
        super().__init__(values)
        self.device = SimpleNamespace(type=device)

    def clone(self):
        return Buffer(self)

    def copy_(self, other):
        self[:] = other


def zeroed(_loader, model, _config):
    for module in model.modules():
        for buffer in module._buffers.values():
            buffer[:] = [0] * len(buffer)
    return "result"


def test_dummy_weights_leave_the_maps_of_experts_in_place():
    experts = SimpleNamespace(_buffers={"_expert_map": Buffer([-1, 0]), "counts": Buffer([3])})
    routed = SimpleNamespace(_buffers={"expert_local_to_global": Buffer([5]), "expert_mask": Buffer([9], "meta")})
    live = experts._buffers["_expert_map"]
    assert wrap_dummy(zeroed)(None, SimpleNamespace(modules=lambda: [experts, routed]), None) == "result"
    assert experts._buffers == {"_expert_map": [-1, 0], "counts": [0]}
    assert experts._buffers["_expert_map"] is live
    assert routed._buffers == {"expert_local_to_global": [5], "expert_mask": [0]}
