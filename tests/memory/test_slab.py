import pytest

import arches
from layout.machine.machine import Machine
from layout.memory.errors import MachineFault
from layout.memory.slab import GFP_KERNEL, GFP_NOFAIL, GFP_NOWAIT, LIVELOCK, SHEAF_CAPACITY


@pytest.fixture
def cache():
    return Machine(arches.get("sparc64")).cache


def test_nodes_in_address_order_zero_filled_never_reused(cache):
    first = cache.alloc_one(GFP_KERNEL)
    assert first == 0x1000000000
    assert cache.alloc_bulk(GFP_NOWAIT, 2) == [0x1000000100, 0x1000000200]
    cache.free(first)
    assert cache.alloc_one(GFP_KERNEL) == 0x1000000300
    assert cache.mem.read(first, 0x400) == bytes(0x400)
    assert cache.calls == ["k1", "nb2", "k1"]
    assert cache.frees == [0]
    assert (cache.allocated, cache.freed) == (4, 1)


def test_all_or_nothing(cache):
    cache.fail(2, None, nowait_only=False)
    assert cache.alloc_bulk(GFP_KERNEL, 3) == []
    assert len(cache.alloc_bulk(GFP_KERNEL, 2)) == 2  # the refusal took nothing
    assert cache.alloc_one(GFP_KERNEL) == 0
    assert cache.calls == ["!kb3", "kb2", "!k1"]


def test_refusals_end_after_calls(cache):
    cache.fail(0, 2, nowait_only=False)
    got = [bool(cache.alloc_one(GFP_KERNEL)) for _ in range(4)]
    assert got == [False, False, True, True]


def test_failnw_refuses_only_those_that_do_not_block(cache):
    cache.fail(1, None, nowait_only=True)
    assert cache.alloc_one(GFP_KERNEL)
    assert cache.alloc_one(GFP_NOWAIT)  # the blocking one was not counted
    assert not cache.alloc_one(GFP_NOWAIT)
    assert cache.alloc_one(GFP_KERNEL)


def test_livelock(cache):
    cache.fail(0, None, nowait_only=False)
    for _ in range(LIVELOCK):
        cache.alloc_one(GFP_KERNEL)
    with pytest.raises(MachineFault) as caught:
        cache.alloc_one(GFP_KERNEL)
    assert caught.value.kind == "livelock"


@pytest.mark.parametrize("address", [0x1000000001, 0x1000000100, 0, 0x0E00000000000000])
def test_bad_free(cache, address):
    cache.alloc_one(GFP_KERNEL)
    with pytest.raises(MachineFault) as caught:
        cache.free(address)
    assert (caught.value.kind, caught.value.address) == ("bad free", address)


def test_double_free(cache):
    node = cache.alloc_one(GFP_KERNEL)
    cache.free(node)
    with pytest.raises(MachineFault) as caught:
        cache.free(node)
    assert (caught.value.kind, caught.value.address) == ("double free", node)


def test_reuse_hands_out_the_last_freed_first_with_its_bytes():
    cache = Machine(arches.get("sparc64"), reuse_nodes=True).cache
    a, b, c = cache.alloc_bulk(GFP_KERNEL, 3)
    cache.mem.write(b, b"old")
    cache.free(a)
    cache.free(b)
    assert cache.alloc_bulk(GFP_KERNEL, 3) == [b, a, 0x1000000300]
    assert cache.mem.read(b, 3) == b"old"
    cache.free(b)
    with pytest.raises(MachineFault):
        cache.free(b)
    assert (cache.allocated, cache.freed) == (6, 3)
    assert c not in cache.free_list()


def test_machine_goes_back_to_a_saved_state():
    machine = Machine(arches.get("s390x"), reuse_nodes=True)
    kernel, tree = machine.kernel, machine.tree(0)
    for i in range(40):
        kernel.mtree_store_range(tree, i * 8, i * 8 + 3, i << 1 | 1)
    saved = machine.save()
    kernel.mt_destroy(tree)
    for i in range(80):
        kernel.mtree_store_range(tree, i, i, 0x1001)
    machine.restore(saved)
    assert machine.save() == saved
    assert [kernel.mtree_load(tree, i * 8) for i in range(40)] == [i << 1 | 1 for i in range(40)]
    assert kernel.mt_validate(tree)


# -- sheaves


def test_a_sheaf_is_filled_in_address_order_and_emptied_from_its_end(cache):
    sheaf = cache.prefill_sheaf(GFP_KERNEL, 3)
    assert [cache.alloc_from_sheaf(sheaf) for _ in range(2)] == [0x1000000200, 0x1000000100]
    assert cache.refill_sheaf(GFP_NOWAIT, sheaf, 1) == sheaf  # it has one: nothing is asked for
    assert cache.refill_sheaf(GFP_NOWAIT, sheaf, 3) == sheaf
    assert cache.sheaf_nodes(sheaf) == (0x1000000000, 0x1000000300, 0x1000000400)
    assert cache.sheaf_size(sheaf) == 3
    cache.return_sheaf(sheaf)
    assert cache.calls == ["ks3", "nr2"]
    assert cache.frees == [0, 3, 4]
    assert (cache.allocated, cache.freed) == (5, 3)


def test_a_sheaf_that_is_too_small_is_exchanged(cache):
    small = cache.prefill_sheaf(GFP_KERNEL, 2)
    assert cache.refill_sheaf(GFP_KERNEL, small, SHEAF_CAPACITY) == small
    large = cache.refill_sheaf(GFP_KERNEL, small, SHEAF_CAPACITY + 1)
    assert cache.sheaf_size(large) == SHEAF_CAPACITY + 1
    assert cache.sheaf_nodes(large)[0] == cache.address(SHEAF_CAPACITY)
    assert cache.calls == ["ks2", "kr30", "ks33"]
    assert cache.frees == list(range(SHEAF_CAPACITY))


def test_a_refused_sheaf_takes_and_frees_nothing(cache):
    sheaf = cache.prefill_sheaf(GFP_KERNEL, 2)
    cache.fail(1, None, nowait_only=False)
    assert cache.prefill_sheaf(GFP_NOWAIT, 2) == 0
    assert cache.refill_sheaf(GFP_NOWAIT, sheaf, 4) == 0
    assert cache.refill_sheaf(GFP_NOWAIT, sheaf, 40) == 0
    assert cache.sheaf_size(sheaf) == 2
    assert cache.prefill_sheaf(GFP_KERNEL | GFP_NOFAIL, 2)  # never refused, and not counted
    assert cache.alloc_one(GFP_KERNEL)
    assert cache.calls == ["ks2", "!ns2", "!nr2", "!ns40", "ks2", "k1"]
    assert cache.frees == []


def test_an_empty_sheaf_gives_none(cache):
    sheaf = cache.prefill_sheaf(GFP_KERNEL, 1)
    assert cache.alloc_from_sheaf(sheaf)
    assert cache.alloc_from_sheaf(sheaf) == 0
