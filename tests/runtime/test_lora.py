from __future__ import annotations

import dataclasses
import enum
import json
import sys
import types
from pathlib import Path

import pytest
from verl_env_runtime import lora
from verl_env_runtime.lora import lora_request_from_tensors, peft_json, wrap


class Tensor(list):
    def detach(self):
        return self

    def clone(self):
        return Tensor(self)


class Adapter:
    @classmethod
    def from_local_checkpoint(cls, lora_dir, expected_lora_modules, peft_helper, *, lora_model_id=None, dtype=None):
        raise AssertionError

    @classmethod
    def from_lora_tensors(cls, lora_model_id, tensors, peft_helper, dtype=None):
        for tensor in tensors.values():
            tensor[0] *= 2
        made = cls()
        made.built = (lora_model_id, tensors, peft_helper, dtype)
        return made


class Manager:
    """vLLM's method in small: it reads the configuration from the folder, checks it, and builds the adapter."""

    limit = 8

    def __init__(self):
        self._lora_model_cls = Adapter

    def _load_adapter(self, lora_request):
        config = json.loads(Path(lora_request.lora_path, "adapter_config.json").read_text())
        if config["r"] > self.limit:
            raise ValueError(config["r"])
        return self._lora_model_cls.from_local_checkpoint(
            lora_request.lora_path, {"q"}, peft_helper=config, lora_model_id=lora_request.lora_int_id, dtype="f32"
        )


class Request:
    def __init__(self, **fields):
        vars(self).update(fields)


def load(request, manager=None):
    return wrap(Manager._load_adapter)(manager or Manager(), request)


def request(**fields):
    return Request(
        **{"lora_int_id": 3, "lora_path": "x", "lora_tensors": {"a": Tensor([1])}, "peft_config": {"r": 4}} | fields
    )


def test_the_adapter_is_built_from_the_tensors_by_vllms_own_steps():
    number, tensors, config, dtype = load(request()).built
    assert (number, tensors, config, dtype) == (3, {"a": [2]}, {"r": 4}, "f32")


def test_the_tensors_of_the_caller_are_not_changed():
    given = Tensor([1])
    load(request(lora_tensors={"a": given}))
    assert given == [1]


def test_vllms_checks_hold():
    with pytest.raises(ValueError):
        load(request(peft_config={"r": 64}))


def test_the_manager_is_as_it_was():
    manager = Manager()
    load(request(), manager)
    assert vars(manager) == {"_lora_model_cls": Adapter}


def test_no_folder_stays_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(lora.tempfile, "tempdir", str(tmp_path))
    load(request())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fields", [{"lora_tensors": None}, {}])
def test_requests_without_tensors_go_to_vllm(tmp_path, fields):
    (tmp_path / "adapter_config.json").write_text('{"r": 4}')
    plain = Request(lora_int_id=1, lora_path=str(tmp_path), **fields)
    with pytest.raises(AssertionError):
        load(plain)


def test_positional_arguments_keep_their_names():
    reader = lora._Reader(Adapter, {"a": Tensor([1])})
    assert reader.from_local_checkpoint("x", set(), {"r": 1}, lora_model_id=5).built[2] == {"r": 1}


class Kind(enum.Enum):
    LORA = "LORA"


@dataclasses.dataclass
class Config:
    r: int = 4
    target_modules: set = dataclasses.field(default_factory=lambda: {"v", "q"})
    peft_type: Kind = Kind.LORA
    path: Path = Path("x")


@pytest.mark.parametrize("config", [Config(), dataclasses.asdict(Config())])
def test_configurations_become_what_peft_writes(config):
    assert json.loads(peft_json(config)) == {"r": 4, "target_modules": ["q", "v"], "peft_type": "LORA", "path": "x"}


def test_a_request_has_vllms_class_and_is_found_by_its_name(monkeypatch):
    class LoRARequest(Request):
        pass

    module = types.ModuleType("vllm.lora.request")
    module.LoRARequest = LoRARequest
    monkeypatch.setitem(sys.modules, "vllm.lora.request", module)
    lora._request_class.cache_clear()
    made = lora_request_from_tensors("a", 1, {"x": 1}, Config(), base_model_name="b")
    lora._request_class.cache_clear()
    assert isinstance(made, LoRARequest)
    assert (made.lora_name, made.lora_int_id, made.base_model_name) == ("a", 1, "b")
    assert made.lora_path
    assert made.peft_config["target_modules"] == ["q", "v"]
    assert vars(lora)[type(made).__name__] is type(made)
