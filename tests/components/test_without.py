import pytest

from verl_env.components.errors import ComponentInvalidError
from verl_env.components.without import FILE, rows_of, without
from verl_env.constraints import constraints_directory
from verl_env.locksets.catalogue import load_catalogue

ROWS = rows_of(str(constraints_directory() / FILE))
#: verl's releases that were looked into: what stops without flash-attn, whether options help, whether that was seen.
FLASH_ATTN = {
    "0.3.0.post1": ("verl's FSDP and Megatron workers stop at their import", False, False),
    "0.4.1": ("verl's FSDP workers stop at their import", False, False),
    "0.5.0": ("verl's FSDP workers stop at their import", False, False),
    "0.6.0": ("verl's default attention stops", False, False),
    "0.6.1": ("verl's default attention stops", True, False),
    "0.7.0": ("verl's default attention stops", True, False),
    "0.7.1": ("verl's default attention stops", True, False),
    "0.8.0": ("verl's trainer stops at its first batch", False, False),
    "0.9.0": ("verl's trainer stops at its first batch", False, False),
    "0.9.1": ("verl's default attention stops", True, True),
}


@pytest.mark.parametrize("verl", FLASH_ATTN)
def test_flash_attn_by_release(verl):
    row = without("flash-attn", verl)
    assert (row.stops, bool(row.options), bool(row.seen)) == FLASH_ATTN[verl]
    if row.options:
        assert row.options == (
            "+actor_rollout_ref.model.override_config.attn_implementation=sdpa",
            "actor_rollout_ref.model.use_remove_padding=False",
        )


def test_what_nobody_looked_into_is_not_known():
    assert without("flash-attn", "0.10.0") is None
    assert without("flash-attn", "main") is None
    assert without("aiter", "0.8.0") is None


@pytest.mark.parametrize(
    ("verl", "needed"), [("0.8.0", "mbridge"), ("0.9.0", "megatron-bridge"), ("0.9.1", "megatron-bridge")]
)
def test_the_bridge_that_megatron_takes_by_default(verl, needed):
    rows = {name: without(name, verl) for name in ("mbridge", "megatron-bridge")}
    assert {name for name, row in rows.items() if row and row.stops} == {needed}


@pytest.mark.parametrize("component", sorted({row.component for row in ROWS}))
def test_the_rows_of_a_component_do_not_overlap(component):
    for lockset in load_catalogue():
        fitting = [row for row in ROWS if row.component == component and without(component, lockset.verl) == row]
        assert len(fitting) <= 1


@pytest.mark.parametrize("lockset", [each for each in load_catalogue() if each.pythons], ids=lambda each: each.id)
def test_every_component_of_a_lock_is_known(lockset):
    """Whoever leaves one out is told what stops; a component without a row would only be called unknown."""
    assert [native.name for native in lockset.natives if without(native.name, lockset.verl) is None] == []


def test_each_row_says_where_it_was_read():
    assert all("verl" in row.source for row in ROWS)
    assert not [row for row in ROWS if row.seen and not row.options]
    assert not [row for row in ROWS if row.options and not row.stops]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("schema = 2\nrows = []", "schema"),
        ("schema = 1", "rows"),
        ('schema = 1\n[[rows]]\ncomponent = "x"', "rows[0].source"),
        ("schema = [", ""),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path, text, key):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ComponentInvalidError) as caught:
        without("x", "0.4.1", tmp_path)
    assert caught.value.key == key


def test_a_folder_without_the_table_knows_nothing(tmp_path):
    assert without("flash-attn", "0.4.1", tmp_path) is None
