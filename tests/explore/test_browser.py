"""The explorer's page in Chromium: every byte and meaning, and what a user does with it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

import arches
from layout import defects
from layout.explore.link import fragment
from layout.images.decode import decode
from layout.images.packed import read_bytes
from layout.machine.machine import Machine
from layout.memory.meaning import node_fields
from layout.traces.inputs import load, open_trace
from layout.traces.runner import Runner

pytestmark = pytest.mark.browser

FIXTURES = Path(__file__).parents[2] / "fixtures"
GOLDEN = FIXTURES / "golden"
R1 = defects.get("R1").trace

MEMORY = """([machine, step]) => {
  const run = explorer.recording.runs.find((each) => each.name === machine);
  run.seek(step);
  return run.addresses.map((address) =>
    [address.toString(16), hexBytes(run.cellAt(address).bytes).replaceAll(" ", "")]);
}"""

FIELDS = """(machine) => {
  const run = explorer.recording.runs.find((each) => each.name === machine);
  const tree = walkTree(run, run.trees[run.treeAt(run.step)]);
  return tree.nodes.map((node) => [node.cell.address.toString(16), nodeFields(run, node)
    .filter((field) => field.name !== "pad").map((field) => [field.name, field.offset, field.meaning])]);
}"""


def cut(name, count):
    """The first lines of a golden trace."""
    return "\n".join(islice((GOLDEN / f"{name}.trace").read_text().splitlines(), count)) + "\n"


def moments(path, arch, steps):
    """The machine after each of these steps."""
    runner = Runner(Machine(arches.get(arch)))
    for step, operation in enumerate(open_trace(str(path), runner.machine.arch), 1):
        runner.execute(operation)
        if step in steps:
            yield step, runner


@pytest.mark.parametrize(
    ("name", "machines"),
    [
        ("08c-alloc-tree-rcu", "x86_64,s390x"),
        ("15c-fault-injection-alloc", "s390x,x86_64,sparc64"),
        ("12-dup-and-destroy", "s390x,sparc64"),
        ("07c-spanning-rcu", "i386,mips"),
    ],
)
def test_every_byte_and_meaning_is_right_at_any_step(visit, tmp_path, name, machines):
    text = cut(name, 400)
    if "i386" in machines:
        text = text.replace("ffffffffffffffff", "ffffffff")
    page = visit(text, "--arch", machines)
    last = page.evaluate("explorer.recording.lines.length")
    steps = [*range(3, last, 61), last]
    for machine in machines.split(","):
        found = list(moments(tmp_path / "some.trace", machine, set(steps)))
        assert [step for step, _ in found] == steps
        # the machine has gone on: what it was at a step is asked for while it is there
        for step, runner in moments(tmp_path / "some.trace", machine, set(steps)):
            cells = page.evaluate(MEMORY, [machine, step])
            mem = runner.mem
            known = {int(address, 16): data for address, data in cells}
            for address, data in known.items():
                wanted = mem.read(address, 256).hex() if mem.arena_at(address) else "00" * 256
                assert data == wanted, f"{machine}, step {step}, node {address:x}"
            nodes = decode(mem, runner.tree).nodes
            wanted = [
                [
                    f"{node.address:x}",
                    [
                        [field.name, field.offset, field.meaning]
                        for field in node_fields(mem, node.address, node.type, node.min, node.max)
                        if field.name not in {"pad", "tail"}
                    ],
                ]
                for node in nodes
            ]
            assert page.evaluate(FIELDS, machine) == wanted
        # and backwards
        for step, runner in moments(tmp_path / "some.trace", machine, {steps[0]}):
            for address, data in page.evaluate(MEMORY, [machine, step]):
                at = int(address, 16)
                if runner.mem.arena_at(at):
                    assert data == runner.mem.read(at, 256).hex()


def selected(page, what="textContent"):
    return page.eval_on_selector(".machine.main .byte.selected", f"(byte) => byte.{what}")


def test_a_defect_is_shown_beside_the_correct_code_and_its_report_at_its_byte(visit):
    page = visit(R1, "--defect", "R1", "--arch", "s390x")
    assert page.locator("#runs button").all_inner_texts() == ["s390x", "s390x with R1"]
    assert page.locator(".machine").count() == 2
    page.get_by_text("metadata read as slot").click()
    assert page.evaluate("location.hash") == (
        "#line=11&byte=1000000000+248&machine=s390x%20with%20R1"
    )
    assert "marked" in selected(page, "className")
    byte = page.inner_text("#byte")
    assert "0e00000000000000" in byte
    assert "mas_wr_append(), line 8: store 1c000 1cfff 2a0601" in byte
    assert "e00000000000000" in page.inner_text("#result")
    row = page.locator("#rows .row[aria-selected=true]")
    assert "\u26a0\u2260" in row.inner_text()
    assert page.locator("#rows .row .sign").count() == 2  # the search leaves another state, too


def test_bytes_that_differ_by_order_are_told_from_those_that_differ_in_meaning(visit):
    trace = "init 0\nstore 10 20 3001\npoke 1000000000 8 77\n"
    page = visit(trace, "--arch", "x86_64,s390x", fragment="#line=2")
    assert page.locator(".machine.main .byte.differs").count() == 0
    orders = page.eval_on_selector_all(
        ".machine.main .byte.order", "(all) => all.map((byte) => Number(byte.dataset.offset))"
    )
    # parent, pivots 0 and 1, slot 1: the bytes that a swap changes
    assert orders == [0, 2, 3, 4, 5, 7, 8, 15, 16, 23, 136, 137, 142, 143]
    page.keyboard.press("ArrowRight")
    differs = page.eval_on_selector_all(
        ".machine.main .byte.differs", "(all) => all.map((byte) => Number(byte.dataset.offset))"
    )
    assert differs == list(range(8, 16))
    assert "\u2260" in page.text_content(".node .sign")


def test_keys_slider_and_list_go_through_time(visit):
    page = visit(R1, "--arch", "s390x", fragment="#line=3")
    step = "explorer.step"
    assert page.evaluate(step) == 3
    for key, wanted in (
        ("ArrowRight", 4),
        ("ArrowLeft", 3),
        ("Home", 0),
        ("PageDown", 10),
        ("End", 11),
        ("PageUp", 1),
    ):
        page.keyboard.press(key)
        assert page.evaluate(step) == wanted, key
    page.locator("#slider").fill("5")
    assert page.evaluate(step) == 5
    page.locator("#rows .row", has_text="store 18000").click()
    assert page.evaluate(step) == 6
    page.get_by_label("One operation on").click()
    assert page.evaluate(step) == 7
    assert page.inner_text("#moment") == "7/11 line 7: store 1a000 1afff 2a0501"


def test_the_next_difference_is_one_key_away(visit):
    page = visit(R1, "--arch", "s390x", "--defect", "R1", fragment="#line=1")
    page.keyboard.press("]")
    assert page.evaluate("explorer.step") == 10
    page.keyboard.press("]")
    assert page.evaluate("[explorer.step, explorer.offset]") == [11, 248]
    page.keyboard.press("[")
    assert page.evaluate("explorer.step") == 10


def test_a_link_opens_its_moment_byte_and_machine(visit):
    link = "#line=5&byte=1000000000+137&machine=s390x"
    page = visit(R1, "--arch", "x86_64,s390x", fragment=link)
    assert page.evaluate("[explorer.step, explorer.run.name, explorer.offset]") == [5, "s390x", 137]
    assert page.evaluate("location.hash") == link
    assert page.inner_text("#node-title").startswith("Node #0 1000000000+137 slot[1]")
    page.evaluate("location.hash = '#line=2&byte=1000000000+8&machine=x86_64'")
    page.wait_for_function("explorer.step === 2")
    assert page.evaluate("explorer.run.name") == "x86_64"


def test_links_that_commands_print_are_those_of_the_page(visit):
    link = fragment(11, "s390x with R1", 0x10000000F8)
    page = visit(R1, "--arch", "s390x", "--defect", "R1", fragment=link)
    assert page.evaluate("location.hash") == link
    assert page.inner_text("#node-title").startswith("Node #0 1000000000+248 meta.end")


@pytest.mark.parametrize(
    ("text", "found", "state"),
    [
        ("12345", "index 12345: 12000-12fff value 150080, slot 3 of #0", [11, 152]),
        ("10000000f8", "address 10000000f8: byte 248 of #0", [11, 248]),
        ("1000000000+9", "address 1000000000: byte 9 of #0", [11, 9]),
        ("line 4", "line 4: store 14000 14fff 2a0201", [4, 0]),
        ("cfind", "line 10: cfind 100fff", [10, 0]),
    ],
)
def test_search(visit, text, found, state):
    page = visit(R1, "--arch", "s390x")
    page.keyboard.press("/")
    page.keyboard.type(text)
    assert page.locator("#found li").first.inner_text() == found
    page.keyboard.press("Enter")
    assert page.evaluate("[explorer.step, explorer.offset]") == state
    assert page.locator("#found").is_hidden()


def test_search_tells_when_there_is_nothing(visit):
    page = visit(R1, "--arch", "s390x")
    page.fill("#search", "nonsense")
    assert page.inner_text("#found") == "Nothing found."


def test_a_byte_a_field_and_its_meaning_show_each_other(visit):
    page = visit(R1, "--arch", "x86_64,s390x")
    page.locator(".machine.main .byte[data-offset='138']").hover()
    assert page.locator(".machine.main .byte.same-field").count() == 8
    assert page.inner_text(".machine.main .name.same-field").startswith("slot[1]")
    assert page.locator(".machine:not(.main) .byte.same-field").count() == 8
    page.locator(".machine.main .name", has_text="pivot[3]").click()
    assert page.evaluate("explorer.offset") == 32
    page.locator(".machine.main .byte.selected").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("explorer.offset") == 41
    assert page.evaluate("explorer.step") == 11  # time stands still
    assert page.evaluate("document.activeElement.dataset.offset") == "41"


def test_what_an_operation_wrote_and_who_wrote_a_byte(visit):
    page = visit(R1, "--arch", "s390x", fragment="#line=8&byte=1000000000+248")
    wrote = page.locator("#wrote li").all_inner_texts()
    assert "#0 metadata end c \u2192 e mas_wr_append()" in wrote
    page.locator("#wrote li", has_text="pivot[13]").first.locator("button").click()
    assert page.evaluate("explorer.offset") == 112
    page.evaluate("explorer.go({offset: 248})")
    history = page.locator(".history li").all_inner_texts()
    assert history[-1] == (
        "0c \u2192 0e metadata end, mas_wr_append(), line 8: store 1c000 1cfff 2a0601"
    )
    assert history[0].startswith("00 \u2192 00 zeroed, mas_pop_node(), line 2: store 10000")
    page.locator(".history li", has_text="line 4").locator("button").click()
    assert page.evaluate("explorer.step") == 4


def test_replaced_and_freed_nodes_are_told_apart(visit):
    lines = [f"store {0x1000 * i:x} {0x1000 * i + 0xFFF:x} {0x2A01 + i:x}" for i in range(20)]
    trace = "\n".join(["init 2", "rcu on", *lines[:16], "rcu_lock", *lines[16:], "rcu_unlock"])
    page = visit(trace, "--arch", "x86_64", fragment="#line=23")
    assert page.locator("#outside .replaced").count() > 0
    freed = page.locator("#outside .freed").count()
    page.keyboard.press("ArrowRight")
    assert page.locator("#outside .replaced").count() == 0
    assert page.locator("#outside .freed").count() > freed
    page.locator("#outside .freed").first.click()
    assert "freed: its last bytes" in page.inner_text(".machine.main h3")
    assert "marks the node as dead" in page.inner_text(".machine.main .grid")


def test_nodes_of_the_tree_are_reached_by_keys(visit):
    page = visit(cut("08c-alloc-tree-rcu", 300), "--arch", "s390x")
    page.locator("#drawing .node").first.click()
    page.locator("#drawing .node.selected").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    at, step = page.evaluate(
        "[explorer.treeOf(explorer.run).byAddress.get(explorer.address).slot, explorer.step]"
    )
    assert (at, step) == (1, 300)
    assert (
        page.locator("#drawing .node.selected")
        .get_attribute("aria-label")
        .startswith(("leaf_64 node", "arange_64 node"))
    )


def test_a_fault_ends_a_machine_and_is_told(visit):
    trace = "init 0\nstore 10 20 3001\nstore 30 40 3003\npoke 1000000000 8 0\npoke fffff0000 c ff\nload 10\nload 30\n"
    page = visit(trace, "--arch", "s390x", fragment="#line=7")
    assert "the machine has stopped" in page.inner_text("#tree-text")
    assert "had stopped: line 6: load 10" in page.inner_text("#result")
    assert page.locator("#marks li").count() >= 1
    assert "not reached" in page.locator("#rows .row").last.inner_text()


def test_an_image_is_one_moment(visit):
    path = FIXTURES / "captures/s390x-6.12.95-sleep.json"
    page = visit(path)
    image = load(str(path))
    [node] = decode(image.memory, image.tree).nodes
    data = image.memory.read(node.address, 256).hex()
    shown = page.eval_on_selector_all(
        ".byte[data-offset]", "(all) => all.map((b) => b.textContent).join('')"
    )
    assert shown == data
    assert page.locator("#time").is_hidden()
    assert page.locator("#marks-section").is_hidden()


def test_violations_of_an_image_are_at_their_bytes(visit, run_dump):
    page = visit(run_dump("init 0\nstore 10 20 3001\npoke 1000000000 f8 9\n"), code=1)
    assert "data end" in page.inner_text("#marks")
    page.locator("#marks button").first.click()
    assert "marked" in selected(page, "className")


@pytest.fixture
def run_dump(tmp_path, capsys):
    """A dump in a file."""
    from layout.cli.main import main

    def dumped(text):
        trace, dump = tmp_path / "d.trace", tmp_path / "d.json"
        trace.write_text(text)
        main(["dump", str(trace), "--format", "json"])
        dump.write_text(capsys.readouterr().out)
        return dump

    return dumped


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_are_told_apart_in_light_and_dark(visit, scheme):
    page = visit(R1, "--arch", "s390x", color_scheme=scheme)

    def contrast(selector):
        return page.eval_on_selector(
            selector,
            """(element) => {
              const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
              const light = (text) => {
                const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(channel);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
              };
              let back = element;
              while (getComputedStyle(back).backgroundColor === "rgba(0, 0, 0, 0)") back = back.parentElement;
              const pair = [getComputedStyle(element).color, getComputedStyle(back).backgroundColor];
              const [high, low] = pair.map(light).sort((a, b) => b - a);
              return (high + 0.05) / (low + 0.05);
            }""",
        )

    names = [".byte.is-parent", ".byte.is-pivot", ".byte.is-slot", ".byte.is-meta"]
    assert all(contrast(f".machine.main {name}:not(.unused)") >= 4.5 for name in names)
    assert all(
        contrast(name) >= 4.5
        for name in ("body", ".row[aria-selected=true]", ".row .n", "#legend .differs")
    )
    before = page.eval_on_selector("body", "(body) => getComputedStyle(body).backgroundColor")
    page.locator("#theme").click()
    after = page.eval_on_selector("body", "(body) => getComputedStyle(body).backgroundColor")
    assert {before, after} == {"rgb(255, 255, 255)", "rgb(20, 23, 27)"}


def test_on_a_phone_nothing_is_wider_than_the_screen(visit):
    page = visit(
        cut("08c-alloc-tree-rcu", 200),
        "--arch",
        "x86_64,s390x",
        viewport={"width": 360, "height": 740},
        has_touch=True,
        is_mobile=True,
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_label("One operation back").tap()
    assert page.evaluate("explorer.step") == 199
    page.locator(".machine.main .byte[data-offset='8']").tap()
    assert page.evaluate("explorer.offset") == 8
    heights = page.eval_on_selector_all("#time button", "(all) => all.map((b) => b.offsetHeight)")
    assert min(heights) >= 38


def test_in_a_narrow_window_nothing_lies_over_the_bytes(visit):
    page = visit(R1, "--arch", "s390x", viewport={"width": 1000, "height": 800})
    edges = page.evaluate(
        "['#grids', '#side'].map((each) => document.querySelector(each).getBoundingClientRect())"
    )
    assert edges[0]["bottom"] <= edges[1]["top"]


@pytest.mark.slow
def test_ten_thousand_operations_are_below_ten_megabytes_and_quick(visit, tmp_path):
    data = read_bytes(str(GOLDEN / "16b-large-alloc-rcu.trace")).decode()
    page = visit("\n".join(data.splitlines()[:10000]), "--arch", "x86_64,s390x,sparc64")
    assert (tmp_path / "page.html").stat().st_size < 10_000_000
    assert page.evaluate("explorer.recording.lines.length") > 9900
    took = page.evaluate("""() => {
      const steps = [5000, 1, 9999, 4000, 4001, 20, 8000, 64, 7777, 0];
      const start = performance.now();
      for (const step of steps) explorer.go({ step });
      return (performance.now() - start) / steps.length;
    }""")
    assert took < 2000
