// Search by index, address, line or text of an operation.

const MOST_FOUND = 60;

// What a text can mean: [{text, change}], where change is given to explorer.go().
function findAll(explorer, text) {
  const { recording, run } = explorer;
  const wanted = text.trim();
  const found = [];
  if (!wanted) return found;
  const line = /^line\s*(\d+)$/i.exec(wanted);
  const number = /^(?:0x)?([0-9a-f]{1,16})(?:\+(\d{1,3}))?$/i.exec(wanted);
  if (line) {
    const step = recording.lines.findIndex(([n]) => n === Number(line[1])) + 1;
    if (step) found.push({ text: `line ${line[1]}: ${recording.lines[step - 1][1]}`, change: { step } });
    return found;
  }
  if (number) {
    const value = BigInt("0x" + number[1]);
    const address = nodeOf(value);
    if (run.cellOf.has(address)) {
      const offset = Number(value & 0xffn) + Number(number[2] ?? 0);
      const change = { address, offset: Math.min(offset, CELL - 1) };
      found.push({ text: `address ${hex(value)}: byte ${change.offset} of ${explorer.cellName(run, address)}`, change });
    }
    if (!number[2]) {
      const slot = findIndex(explorer, value);
      if (slot) found.push(slot);
    }
  }
  const lower = wanted.toLowerCase();
  for (const [i, [n, operation]] of recording.lines.entries()) {
    if (found.length > MOST_FOUND) break;
    if (operation.toLowerCase().includes(lower)) {
      found.push({ text: `line ${n}: ${operation}`, change: { step: i + 1 } });
    }
  }
  return found;
}

// The slot that an index leads to in the current tree.
function findIndex(explorer, index) {
  const { run } = explorer;
  const tree = explorer.treeOf(run);
  const leaf = tree.nodes.find((node) =>
    node.type === LEAF_64 && index >= node.min && index <= node.max);
  const range = leaf?.view.ranges.find((each) => index >= each.first && index <= each.last);
  if (!range) return undefined;
  return {
    text: `index ${hex(index)}: ${hex(range.first)}-${hex(range.last)} `
      + `${describeEntry(range.word)}, slot ${range.slot} of ${run.nodeName(leaf.cell.address)}`,
    change: {
      address: leaf.cell.address, offset: run.slotOffset[leaf.type] + range.slot * run.word,
    },
  };
}

class SearchBox {
  constructor(input, list, explorer) {
    this.input = input;
    this.list = list;
    this.explorer = explorer;
    this.found = [];
    this.at = 0;
    input.addEventListener("input", () => this.#search());
    input.addEventListener("focus", () => this.#search());
    input.addEventListener("blur", () => setTimeout(() => this.#show(false), 150));
    input.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("pointerdown", (event) => {
      const item = event.target.closest("li[data-at]");
      if (item) this.#choose(Number(item.dataset.at));
      event.preventDefault();
    });
  }

  #search() {
    this.found = findAll(this.explorer, this.input.value);
    this.at = 0;
    this.#draw();
    this.#show(this.input.value.trim() !== "");
  }

  #show(open) {
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", open);
  }

  #draw() {
    const items = this.found.slice(0, MOST_FOUND).map(({ text }, i) => {
      const item = element("li", "mono", text);
      item.dataset.at = i;
      item.id = `found-${i}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", i === this.at);
      return item;
    });
    if (!items.length) items.push(element("li", "none", "Nothing found."));
    this.list.replaceChildren(...items);
    this.input.setAttribute("aria-activedescendant", this.found.length ? `found-${this.at}` : "");
    this.list.children[this.at]?.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    if (event.key === "Escape") {
      this.#show(false);
      this.input.blur();
    } else if (event.key === "Enter" && this.found.length) {
      this.#choose(this.at);
    } else if (["ArrowDown", "ArrowUp"].includes(event.key)) {
      const shown = Math.min(this.found.length, MOST_FOUND);
      if (shown) this.at = (this.at + (event.key === "ArrowDown" ? 1 : shown - 1)) % shown;
      this.#draw();
      event.preventDefault();
    }
    event.stopPropagation();
  }

  #choose(at) {
    this.#show(false);
    this.input.blur();
    this.explorer.go(this.found[at].change);
  }
}
