"""Waits for the modules that patches mend, and applies the patches right after each has been imported.

``_verl_env_boot`` calls :func:`arm` when something looks for vLLM; vLLM's plugin entry point and trainers call
:func:`install`. Both may be called any number of times. No exception leaves this module.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from . import journal
from .gates import APPLIED, DECLINED, FAILED, NOT_NEEDED, UNVERIFIED, Verdict, decide
from .registry import PATCHES
from .source import find_vllm, vllm_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    from .registry import Patch, Target

    Job = tuple[Patch, Target, Verdict]

#: The attribute that marks a wrapped method; its value is the id of the patch.
MARK = "__verl_env_patch__"
#: The attribute of a wrapped method with further names for it, given where the class has none of that name.
NAMES = "__verl_env_names__"

_deciding = False


def install() -> None:
    """Applies the patches to what is already imported, and waits for the rest."""
    arm()
    boot = sys.modules.get("_verl_env_boot")
    if boot is not None and _watch() is None and "vllm" not in sys.modules and boot not in sys.meta_path:
        sys.meta_path.insert(2, boot)


def arm() -> ModuleSpec | None:
    """Decides on every patch; called while the import of vLLM begins.

    Returns:
        The spec of vLLM, which ends the search for it: the list of finders, which is being walked, has changed.
    """
    global _deciding  # noqa: PLW0603  one decision at a time, also when a finder looks for vLLM meanwhile
    if _deciding:
        return None
    _deciding = True
    try:
        spec = vllm_spec()
        if spec is not None:
            _arm()
    except BaseException as error:  # noqa: BLE001  never into the user's process
        journal.fault("arm", error)
        return None
    finally:
        _deciding = False
    return spec


def jobs() -> list[Job]:
    """Every target with the verdict on it, from the source of the vLLM that would be imported; empty without vLLM."""
    tree = find_vllm()
    if tree is None:
        return []
    return [(patch, target, decide(patch, target, tree)) for patch in PATCHES for target in patch.targets]


def marked(function: Any) -> bool:
    """Whether a method is ours, or wraps ours."""
    while function is not None:
        if hasattr(function, MARK):
            return True
        function = getattr(function, "__wrapped__", None)
    return False


def foreign(function: Any, module: str) -> str | None:
    """The module that has put a function of its own in the place of a method; None where the method is vLLM's."""
    home = getattr(function, "__module__", None)
    return None if home == module else str(home)


class Watch:
    """The import finder of a process that imports vLLM; it stays, as a module may be reloaded or imported again."""

    verl_env_watch = True

    def __init__(self, work: Sequence[Job]) -> None:
        self.work: dict[str, list[Job]] = {}
        for job in work:
            self.work.setdefault(job[1].module, []).append(job)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        """The spec that the other finders give, with a loader that tells us when the module is there."""
        if name not in self.work:
            return None
        try:
            spec = self._others(name, path, target)
            if spec is not None and spec.loader is not None:
                self._hook(spec.loader)
        except ImportError:
            raise
        except BaseException as error:  # noqa: BLE001  never into the user's process
            journal.fault(name, error)
            return None
        return spec

    def loaded(self, module: ModuleType) -> None:
        """Applies what is meant for a module."""
        for patch, target, verdict in self.work.get(module.__name__, ()):
            apply(patch, target, verdict, module)

    def _others(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                return spec
        return None

    def _hook(self, loader: Any) -> None:
        """Replaces ``exec_module`` on this loader object until it has run once."""
        if isinstance(loader, type) or "exec_module" in vars(loader):
            return
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            run(module)
            try:
                self.loaded(module)
            except BaseException as error:  # noqa: BLE001  never into the user's process
                journal.fault(module.__name__, error)

        loader.exec_module = exec_module


def apply(patch: Patch, target: Target, verdict: Verdict, module: ModuleType) -> None:
    """Wraps one target in an imported module and records what came of it."""
    try:
        journal.record(patch.id, target.name, _wrapped(patch, target, verdict, module))
    except BaseException as error:  # noqa: BLE001  never into vLLM's import
        journal.record(patch.id, target.name, Verdict(FAILED, f"{type(error).__name__}: {error}"))


def owner_and_method(target: Target, module: ModuleType) -> tuple[Any, Any]:
    """The class of a target in its module, and the method as the class itself has it; None for what is not there."""
    owner, _, method = target.qualname.partition(".")
    cls = getattr(module, owner, None)
    return cls, vars(cls).get(method) if isinstance(cls, type) else None


def _wrapped(patch: Patch, target: Target, verdict: Verdict, module: ModuleType) -> Verdict:
    cls, original = owner_and_method(target, module)
    if original is None:
        return Verdict(DECLINED, f"{target.name} is not there")
    if marked(original):
        return verdict
    other = foreign(original, target.module)
    if other is not None:
        return replaced_by(target, other)
    wrap: Callable[[Any], Any] = resolve(patch.wrap)
    replacement = wrap(original)
    setattr(replacement, MARK, patch.id)
    setattr(cls, target.qualname.rpartition(".")[2], replacement)
    for name in getattr(replacement, NAMES, ()):
        if not hasattr(cls, name):
            setattr(cls, name, replacement)
    return verdict


def replaced_by(target: Target, module: str) -> Verdict:
    """The verdict on a method that is no longer vLLM's: verl's own patch does the work; of others nothing is known."""
    if (module + ".").startswith("verl."):
        return Verdict(NOT_NEEDED, f"verl's own patch is in its place ({module})")
    return Verdict(DECLINED, f"{target.name} was replaced by {module} before")


def resolve(name: str) -> Any:
    """The object that a ``module:function`` of this package names."""
    module, _, function = name.partition(":")
    return getattr(import_module("." + module, __package__), function)


def _arm() -> None:
    watch = _watch()
    if watch is not None:
        sys.meta_path.remove(watch)
        sys.meta_path.insert(0, watch)  # a finder that came later may have put itself before ours
        _sweep(watch)
        return
    work = jobs()
    if not work:
        return
    for patch, target, verdict in work:
        if verdict.state not in {APPLIED, UNVERIFIED}:
            journal.record(patch.id, target.name, verdict)
    acting = [job for job in work if job[2].acts]
    watch = Watch(acting) if acting else None
    if watch is not None:
        sys.meta_path.insert(0, watch)
    boot = sys.modules.get("_verl_env_boot")
    while boot is not None and boot in sys.meta_path:
        sys.meta_path.remove(boot)
    _sweep(watch)


def _sweep(watch: Watch | None) -> None:
    """Applies what is meant for modules that are imported already."""
    for name in sorted(watch.work) if watch else ():
        module = sys.modules.get(name)
        if module is not None and watch is not None and not _initializing(module):
            watch.loaded(module)


def _initializing(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _watch() -> Watch | None:
    return next((finder for finder in sys.meta_path if isinstance(finder, Watch)), None)
