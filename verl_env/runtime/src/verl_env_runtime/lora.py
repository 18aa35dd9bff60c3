"""``lora-tensors``: LoRA adapters from tensors in memory, through vLLM's own loading."""

from __future__ import annotations

import enum
import functools
import inspect
import json
import sys
import tempfile
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .hook import MARK, NAMES, foreign, marked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_MANAGERS = "vllm.lora.worker_manager"
_METHOD = "_load_adapter"
_IN_MEMORY = "tensors-in-memory"
_REQUEST = "TensorLoRARequest"


def wrap(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """``_load_adapter`` that also takes requests with ``lora_tensors`` and ``peft_config``, ours and verl's.

    vLLM's own method runs, with its checks; only where it would read the tensors from files, it gets these.
    """

    @functools.wraps(original)
    def _load_adapter(self: Any, lora_request: Any) -> Any:
        tensors = getattr(lora_request, "lora_tensors", None)
        if tensors is None:
            return original(self, lora_request)
        with tempfile.TemporaryDirectory(prefix="verl-env-lora-") as folder:
            config = Path(folder, "adapter_config.json")
            config.write_text(peft_json(lora_request.peft_config), encoding="utf-8")
            return original(_Manager(self, tensors), _At(lora_request, folder))

    return _load_adapter


def wrap_mapper(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``get_rename_mapper``, which is there under the name that it had until vLLM 0.28 as well."""

    @functools.wraps(original)
    def get_rename_mapper(self: Any) -> Any:
        return original(self)

    setattr(get_rename_mapper, NAMES, ("get_unstacked_mapper",))
    return get_rename_mapper


def lora_request_from_tensors(
    name: str, number: int, tensors: Mapping[str, Any], peft_config: Any, **options: Any
) -> Any:
    """A ``LoRARequest`` whose adapter is in memory.

    Args:
        name: the name of the adapter (``lora_name``).
        number: its id, above zero (``lora_int_id``).
        tensors: as an ``adapter_model.safetensors`` would hold them; they are not changed.
        peft_config: the adapter's PEFT configuration: a mapping, or a ``peft.LoraConfig``.
        **options: other fields of vLLM's ``LoRARequest``.

    Raises:
        ModuleNotFoundError: there is no vLLM in this environment.
    """
    options.setdefault("lora_path", _IN_MEMORY)
    config = json.loads(peft_json(peft_config))
    return _request_class()(
        lora_name=name, lora_int_id=number, lora_tensors=dict(tensors), peft_config=config, **options
    )


def peft_json(config: Any) -> str:
    """A PEFT configuration as ``adapter_config.json`` has it: sets as sorted lists, enumerations as their values."""
    if is_dataclass(config) and not isinstance(config, type):
        config = asdict(config)
    return json.dumps(dict(config), default=_plain)


def go_first() -> None:
    """Takes our requests past a method that somebody has put in front of vLLM's, as verl's hijack does.

    Such a method knows requests of its own only. It keeps everything but ours. Runs whenever a request of ours is made
    or unpickled, so that it does not matter who came first.
    """
    base = getattr(sys.modules.get(_MANAGERS), "WorkerLoRAManager", None)
    ours = vars(base).get(_METHOD) if base is not None else None
    if base is None or not marked(ours):
        return
    for cls in base.__subclasses__():
        theirs = vars(cls).get(_METHOD)
        if theirs is not None and not marked(theirs) and foreign(theirs, cls.__module__) is not None:
            setattr(cls, _METHOD, _passing(theirs, ours))


def _passing(theirs: Callable[[Any, Any], Any], ours: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    @functools.wraps(theirs)
    def _load_adapter(self: Any, lora_request: Any) -> Any:
        mine = isinstance(lora_request, _request_class())
        return (ours if mine else theirs)(self, lora_request)

    setattr(_load_adapter, MARK, "lora-tensors")
    return _load_adapter


class _Manager:
    """Stands in for the worker's manager during one load: the same in all but the class that reads the adapter."""

    def __init__(self, manager: Any, tensors: Mapping[str, Any]) -> None:
        self._manager = manager
        self._lora_model_cls = _Reader(manager._lora_model_cls, tensors)  # noqa: SLF001

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manager, name)


class _Reader:
    """Stands in for the class of LoRA models: gives ``from_local_checkpoint`` the tensors instead of the files."""

    def __init__(self, model_class: Any, tensors: Mapping[str, Any]) -> None:
        self._model_class = model_class
        self._tensors = tensors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model_class, name)

    def from_local_checkpoint(self, _folder: str, _expected: Any, *args: Any, **options: Any) -> Any:
        """Builds the adapter from copies of the tensors: vLLM up to 0.11.2 scales what it is given in place."""
        read = self._model_class.from_local_checkpoint
        names = list(inspect.signature(read).parameters)[2:]
        given = {**dict(zip(names, args)), **options}  # noqa: B905  Python 3.9
        build = self._model_class.from_lora_tensors
        accepted = inspect.signature(build).parameters
        kept = {key: value for key, value in given.items() if key in accepted}
        tensors = {key: tensor.detach().clone() for key, tensor in self._tensors.items()}
        return build(tensors=tensors, **kept)


class _At:
    """A request whose adapter configuration lies in a folder."""

    def __init__(self, request: Any, folder: str) -> None:
        self._request = request
        self.lora_path = folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, enum.Enum):
        return value.value
    return str(value)


@functools.lru_cache(maxsize=1)
def _request_class() -> Any:
    """A request of vLLM with two more fields; ``TensorLoRARequest`` of this module, where pickle looks for it."""
    from importlib import import_module  # noqa: PLC0415

    base = import_module("vllm.lora.request").LoRARequest

    def __post_init__(self: Any) -> None:  # noqa: N807  msgspec calls it, also when it unpickles
        base.__post_init__(self)
        go_first()

    fields = {"lora_tensors": "dict | None", "peft_config": "dict | None"}
    body = {"__annotations__": fields, "lora_tensors": None, "peft_config": None}
    return type(base)(_REQUEST, (base,), {**body, "__module__": __name__, "__post_init__": __post_init__})


def __getattr__(name: str) -> Any:
    if name == _REQUEST:
        return _request_class()
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
