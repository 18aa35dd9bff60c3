from __future__ import annotations

import dataclasses
import enum
import json
import pickle
import sys
import types
from pathlib import Path

import pytest
from verl_env_runtime import hook, lora
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


@pytest.fixture
def vllm_lora(monkeypatch):
    """vLLM's request and managers in small, in the places where they are."""

    class LoRARequest(Request):
        def __init__(self, **fields):
            super().__init__(**fields)
            self.__post_init__()

        def __post_init__(self):
            assert self.lora_path

        def __reduce__(self):
            return _made, (type(self), vars(self))

    class LRUCacheWorkerLoRAManager(Manager):
        pass

    for name, found in {
        "request": {"LoRARequest": LoRARequest},
        "worker_manager": {"WorkerLoRAManager": Manager},
    }.items():
        module = types.ModuleType("vllm.lora." + name)
        vars(module).update(found)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(Manager, "_load_adapter", lora.wrap(Manager._load_adapter))
    monkeypatch.setattr(Manager._load_adapter, hook.MARK, "lora-tensors", raising=False)
    lora._request_class.cache_clear()
    yield types.SimpleNamespace(request=LoRARequest, manager=LRUCacheWorkerLoRAManager)
    lora._request_class.cache_clear()


def _made(cls, fields):
    return cls(**fields)


def from_tensors():
    return lora_request_from_tensors("a", 1, {"x": Tensor([1])}, Config(), base_model_name="b")


def test_a_request_has_vllms_class(vllm_lora):
    made = from_tensors()
    assert isinstance(made, vllm_lora.request)
    assert (made.lora_name, made.lora_int_id, made.base_model_name) == ("a", 1, "b")
    assert made.lora_path
    assert made.peft_config["target_modules"] == ["q", "v"]


def test_a_request_is_found_by_its_name_in_a_process_that_has_made_none(vllm_lora):
    sent = pickle.dumps(from_tensors())
    assert "TensorLoRARequest" not in vars(lora)
    assert pickle.loads(sent).peft_config["r"] == 4
    with pytest.raises(AttributeError, match="nothing"):
        _ = lora.nothing


def hijack(manager):
    """As verl does it: a method that knows requests of its own, on the class that vLLM's workers use."""

    def hijacked(self, lora_request):
        return "theirs", lora_request

    hijacked.__module__ = "verl.utils.vllm.utils"
    manager._load_adapter = hijacked


@pytest.mark.parametrize("sent", [False, True])
def test_a_hijack_keeps_its_requests_and_ours_come_to_us(vllm_lora, sent):
    made = from_tensors()
    data = pickle.dumps(made)
    hijack(vllm_lora.manager)
    other = Request(lora_path="x", lora_tensors={"x": 1})
    again = pickle.loads(data) if sent else from_tensors()
    assert vllm_lora.manager()._load_adapter(again).built[1] == {"x": [2]}
    assert vllm_lora.manager()._load_adapter(other) == ("theirs", other)
    before = vllm_lora.manager._load_adapter
    from_tensors()
    assert vllm_lora.manager._load_adapter is before


def test_a_hijack_stays_where_the_patch_is_not_in_force(vllm_lora, monkeypatch):
    monkeypatch.setattr(Manager, "_load_adapter", lambda *_: None)
    hijack(vllm_lora.manager)
    theirs = vllm_lora.manager._load_adapter
    from_tensors()
    assert vllm_lora.manager._load_adapter is theirs


def test_a_class_of_somebody_elses_own_is_left_alone(vllm_lora):
    class Mine(Manager):
        def _load_adapter(self, lora_request):
            return "mine"

    from_tensors()
    assert not hook.marked(Mine._load_adapter)
