from layout.traces.model import Model


def test_stores_cut_what_is_there():
    model = Model(0xFFF)
    model.store(0x10, 0x1F, 1)
    model.store(0x14, 0x17, 3)
    model.store(0x1E, 0x20, 0)
    assert model.items() == [(0x10, 0x13, 1), (0x14, 0x17, 3), (0x18, 0x1D, 1)]
    assert model.items(0x13, 0x14) == model.items()[:2]
    assert model.items(0x15, 0x14) == []
    assert (model.span(5), model.span(0x15), model.span(0x20)) == (
        (0, 0xF, 0),
        (0x14, 0x17, 3),
        (0x1E, 0xFFF, 0),
    )
    assert model.erase(0x1A) == 1
    assert model.erase(0x1A) == 0
    assert (model.is_free(0, 0xF), model.is_free(0, 0x10)) == (True, False)


def test_free_areas_and_reservations():
    model = Model(0xFFF)
    model.store(0x10, 0x1F, 0x406)
    assert model.load(0x10) == 0
    assert model.at(0x10) == (0x10, 0x1F, 0x406)
    assert model.free_area(0x10, 0, 0xFFF, reverse=False) == 0
    assert model.free_area(0x11, 0, 0xFFF, reverse=False) == 0x20
    assert model.free_area(0x10, 0, 0x1F, reverse=True) == 0
    assert model.free_area(0x11, 0, 0x1F, reverse=True) is None
    copy = model.copy()
    copy.store(0, 0xFFF, 0)
    assert model.items() == [(0x10, 0x1F, 0x406)]
    assert copy.items() == []


def test_a_null_is_stored_over_the_free_ranges_at_both_ends():
    model = Model(0xFFFF)
    model.store(0x10, 0x1F, 1)
    model.store(0x20, 0x2F, 2)
    assert model.widened(0x10, 0x2F) == (0, 0xFFFF)
    assert model.widened(0x11, 0x2E) == (0x11, 0x2E)
    assert model.widened(0x12, 0x30) == (0x12, 0xFFFF)
    assert model.widened(0, 0x1F) == (0, 0x1F)
    assert model.widened(5, 5) == (0, 0xF)
    assert model.widened(0xFFFF, 0xFFFF) == (0x30, 0xFFFF)
