"""Loading methods that verl copies from one parameter to another stay those of the parameter that has them."""

from __future__ import annotations

import pickle

import pytest
from verl_env_runtime.fp8.loaders import OwnMethod, wrap


class Parameter:
    def __init__(self):
        self.data = []

    def data_ptr(self):
        return id(self.data)

    def load(self, value, **kwargs):
        """Load."""
        self.data.append((value, kwargs))


class Column(Parameter):
    load = wrap(Parameter.load)


class Packed(Column):
    def load(self, value, **kwargs):
        super().load(f"packed {value}", **kwargs)


def test_a_copied_method_does_not_write_into_the_old_parameter():
    old, new = Column(), Column()
    plain_old, plain_new = Parameter(), Parameter()
    new.load, plain_new.load = old.load, plain_old.load

    new.load(1)
    plain_new.load(1)

    assert (old.data, new.data) == ([], [(1, {})])
    assert (plain_old.data, plain_new.data) == ([(1, {})], [])  # the fault


def test_a_method_that_lies_there_before_the_class_is_put_back():
    old, new = Column(), object.__new__(type("Bare", (), {}))
    new.load, new.data = old.load, []
    new.__class__ = Column

    new.load(1, shard_id=0)

    assert (old.data, new.data) == ([], [(1, {"shard_id": 0})])


def test_what_is_put_there_on_purpose_stays():
    one = Column()
    one.load = lambda value: one.data.append(f"mine {value}")

    one.load(1)
    del one.load
    one.load(2)

    assert one.data == ["mine 1", (2, {})]
    with pytest.raises(AttributeError):
        del one.load


def test_it_is_called_as_any_method_is():
    one, packed = Column(), Packed()

    Column.load(one, 1)
    packed.load(2)

    assert one.data == [(1, {})]
    assert packed.data == [("packed 2", {})]
    assert isinstance(vars(Column)["load"], OwnMethod)
    assert (Column.load.__name__, Column.load.__doc__, Column.load.__module__) == ("load", "Load.", __name__)
    assert pickle.loads(pickle.dumps(one)).data == one.data


def test_every_probe_takes_what_it_is_called_with():
    from inspect import signature

    from verl_env_runtime import hook
    from verl_env_runtime.registry import PATCHES

    assert [patch.name for patch in PATCHES if len(signature(hook.resolve(patch.probe)).parameters) != 1] == []
