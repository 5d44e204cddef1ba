// The explorer: one moment, one machine, one byte; everything is drawn from these.

const MARK = "\u26a0";
const FAULT = "\u2716";
const OTHER = "\u2260";
const MOST_OUTSIDE = 40;

class Explorer {
  constructor(recording) {
    this.recording = recording;
    const { runs } = recording;
    this.run = runs.find((run) => run.defects.length) ?? runs[0];
    const [{ arch }] = runs;
    this.shown = new Set(this.run.defects.length
      ? runs.filter((run) => run.arch === arch) : runs.slice(0, 3));
    this.step = recording.lines.length;
    this.offset = 0;
    this.address = undefined;
    this.tree = -1; // -1: the current one
    this.trees = new Map();
    this.list = new ListView(byId("list"), byId("rows"), this);
    this.grid = new NodeView(byId("grids"), byId("legend"), this);
    this.side = new SideView(this);
    this.search = new SearchBox(byId("search"), byId("found"), this);
    this.#controls();
    this.#fromFragment();
    addEventListener("hashchange", () => this.#fromFragment());
  }

  // -- what is shown

  shownRuns() {
    return this.recording.runs.filter((run) => this.shown.has(run));
  }

  // The tree of a run at this moment.
  treeOf(run) {
    let tree = this.trees.get(run);
    if (!tree) {
      const number = this.tree < 0 ? run.treeAt(this.step) : this.tree;
      tree = walkTree(run, run.trees[number] ?? run.trees[0]);
      this.trees.set(run, tree);
    }
    return tree;
  }

  // Go to another step, run, address or offset; all that is not given stays.
  go(change) {
    const before = { step: this.step, run: this.run };
    if (change.step !== undefined) {
      this.step = Math.max(0, Math.min(change.step, this.recording.lines.length));
    }
    if (change.run) {
      this.run = change.run;
      this.shown.add(change.run);
    }
    if (change.tree !== undefined) this.tree = change.tree;
    if (change.offset !== undefined) this.offset = change.offset;
    if (change.address !== undefined) this.address = change.address;
    for (const run of this.recording.runs) run.seek(this.step);
    this.trees.clear();
    if (this.address === undefined || !this.run.cellAt(this.address)) {
      const [root] = this.treeOf(this.run).nodes;
      this.address = root?.cell.address ?? nodeOf(this.treeOf(this.run).address);
    }
    this.#draw(before.step !== this.step || before.run !== this.run || !this.drawn);
    if (change.offset !== undefined) {
      const byte = byId("grids").querySelector(".machine.main .byte.selected");
      byte?.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    this.drawn = true;
    this.#toFragment();
  }

  // -- words

  cellName(run, address) {
    const number = run.trees.findIndex((tree) => nodeOf(tree) === address);
    if (number < 0) return run.nodeName(address);
    return run.trees.length > 1 ? "struct maple_tree" : `tree ${hex(run.trees[number])}`;
  }

  cellText(run, cell, tree) {
    if (run.trees.some((address) => nodeOf(address) === cell.address)) return "struct maple_tree";
    const node = tree.byAddress.get(cell.address);
    if (node) return `${TYPE_NAMES[node.type]}, depth ${node.depth}, ${hex(node.min)}-${hex(node.max)}`;
    return {
      freed: "freed: its last bytes", replaced: "replaced, waits to be freed",
      held: "handed out, not in this tree",
    }[stateOf(run, cell, tree)] ?? "not yet handed out";
  }

  // The offsets in a cell that the current operation wrote.
  writtenNow(run, cell) {
    const found = new Set();
    if (!this.step || this.step > run.last) return found;
    const number = run.cellOf.get(cell.address);
    for (let entry = run.opStart[this.step]; entry < run.opStart[this.step + 1]; entry++) {
      if (run.cell[entry] !== number) continue;
      for (let i = 0; i < run.size[entry]; i++) found.add(run.offset[entry] + i);
    }
    return found;
  }

  signsAt(step) {
    let signs = "";
    const runs = this.shownRuns();
    if (runs.some((run) => run.results[step - 1]?.fault)) signs += FAULT;
    else if (runs.some((run) => run.marksAt.has(step) && step)) signs += MARK;
    if (runs.some((run) => run.differs.has(step))) signs += OTHER;
    return signs;
  }

  // -- drawing

  #draw(follow) {
    const { run, recording } = this;
    byId("slider").max = recording.lines.length;
    byId("slider").value = this.step;
    const [number, text] = this.step ? recording.lines[this.step - 1] : ["", "before the first operation"];
    byId("moment").textContent = recording.lines.length
      ? `${this.step}/${recording.lines.length}  ${number ? `line ${number}: ` : ""}${text}` : "an image: one moment";
    for (const button of byId("runs").children) {
      const each = recording.runs[Number(button.dataset.run)];
      button.setAttribute("aria-pressed", this.shown.has(each));
    }
    this.list.draw(follow);
    this.#drawTree();
    this.grid.draw();
    this.side.draw();
    const name = this.cellName(run, this.address);
    const title = byId("node-title");
    title.textContent = name.startsWith("#") ? `Node ${name} ` : `${name} `;
    title.append(element("span", "mono", `${hex(this.address)}+${this.offset}`));
    const cell = run.cellAt(this.address);
    const field = cell && fieldAt(fieldsOf(run, cell, this.treeOf(run)), this.offset);
    if (field) title.append(element("span", "", ` ${field.name}: ${field.meaning}`));
  }

  #drawTree() {
    const { run } = this;
    const tree = this.treeOf(run);
    const root = tree.root === 0n ? "empty" : tree.nodes.length
      ? `${tree.nodes.length} node${tree.nodes.length > 1 ? "s" : ""}` : isNode(tree.root) ? describeEnode(tree.root) : describeEntry(tree.root);
    byId("tree-text").textContent = `on ${run.name} at ${hex(tree.address)}: ${root}, `
      + describeFlags(tree.flags) + (this.step > run.last ? " - the machine has stopped" : "");
    const cells = new Set();
    if (this.step && this.step <= run.last) {
      for (let entry = run.opStart[this.step]; entry < run.opStart[this.step + 1]; entry++) {
        if (run.size[entry]) cells.add(run.addresses[run.cell[entry]]);
      }
    }
    const marked = new Set((run.marksAt.get(Math.min(this.step, run.last)) ?? []).map((mark) => mark.address));
    const drawing = byId("drawing");
    const kept = drawing.contains(document.activeElement);
    const signs = (node) => (marked.has(node.cell.address) ? MARK : "") + (this.#differs(node) ? OTHER : "");
    drawTree(drawing, run, tree, (node) => ({
      selected: node.cell.address === this.address, wrote: cells.has(node.cell.address), sign: signs(node),
    }), (address) => this.go({ address }));
    const selected = drawing.querySelector(".node.selected") ?? drawing.querySelector(".node");
    if (selected) {
      selected.setAttribute("tabindex", 0);
      if (kept) selected.focus({ preventScroll: true });
      this.#intoView(drawing, selected);
    }
    this.#outside(tree, cells);
    byId("problems").replaceChildren(...tree.problems.slice(0, 20).map((text) => element("li", "", text)));
  }

  #intoView(drawing, selected) {
    const box = selected.querySelector(".box");
    const x = Number(box.getAttribute("x"));
    const y = Number(box.getAttribute("y"));
    const width = Number(box.getAttribute("width"));
    if (x < drawing.scrollLeft || x + width > drawing.scrollLeft + drawing.clientWidth) {
      drawing.scrollLeft = x - drawing.clientWidth / 2;
    }
    if (y < drawing.scrollTop || y + 60 > drawing.scrollTop + drawing.clientHeight) {
      drawing.scrollTop = y - drawing.clientHeight / 2;
    }
  }

  // Whether a node of the tree has another meaning on another machine that is shown.
  #differs(node) {
    const ours = { cell: node.cell, fields: nodeFields(this.run, node) };
    return this.shownRuns().some((other) => {
      if (other === this.run || other.word !== this.run.word) return false;
      const cell = other.cellAt(node.cell.address);
      if (!cell) return true;
      if (sameBytes(cell, node.cell) && other.bigEndian === this.run.bigEndian) return false;
      const theirs = { cell, fields: fieldsOf(other, cell, this.treeOf(other)) };
      return compareCells(ours, theirs).includes("differs");
    });
  }

  // Nodes that are in no tree: replaced ones, held ones, and the latest freed ones.
  #outside(tree, cells) {
    const { run } = this;
    const { held, freed } = run.nodesNow();
    const found = { replaced: [], held: [], freed: freed.map((number) => run.addresses[number]) };
    const inTrees = new Set(tree.byAddress.keys());
    for (const address of run.trees) {
      if (address !== tree.address && run.last) {
        for (const other of walkTree(run, address).nodes) inTrees.add(other.cell.address);
      }
    }
    for (const number of held) {
      const address = run.addresses[number];
      if (inTrees.has(address)) continue;
      found[stateOf(run, run.cellAt(address), tree)].push(address);
    }
    const parts = [];
    for (const [state, text] of [["replaced", "replaced, not freed:"], ["held", "in no tree:"], ["freed", "freed:"]]) {
      const all = found[state];
      if (!all.length) continue;
      parts.push(element("span", "faint", text));
      if (all.length > MOST_OUTSIDE) parts.push(element("span", "faint", `${all.length - MOST_OUTSIDE} earlier,`));
      for (const address of all.slice(-MOST_OUTSIDE)) {
        const wrote = cells.has(address) ? " \u270e" : "";
        const button = element("button", `mono ${state}`, run.nodeName(address) + wrote);
        button.title = `${state} node ${hex(address)}`;
        button.setAttribute("aria-pressed", address === this.address);
        button.addEventListener("click", () => this.go({ address }));
        parts.push(button);
      }
    }
    const heading = element("button", "mono", "struct maple_tree");
    heading.setAttribute("aria-pressed", nodeOf(tree.address) === this.address);
    heading.addEventListener("click", () => this.go({
      address: nodeOf(tree.address), offset: Number(tree.address & 0xffn) + run.rootOffset,
    }));
    byId("outside").replaceChildren(heading, ...parts);
  }

  // -- the address of a moment: #line=8&byte=1000000000+248&machine=s390x

  #toFragment() {
    const [number] = this.step ? this.recording.lines[this.step - 1] : [0];
    const parts = [`line=${number}`, `byte=${hex(this.address)}+${this.offset}`];
    parts.push(`machine=${encodeURIComponent(this.run.name)}`);
    if (this.tree >= 0) parts.push(`tree=${this.tree}`);
    history.replaceState(null, "", `#${parts.join("&")}`);
  }

  #fromFragment() {
    const found = new Map(location.hash.slice(1).split("&").map((part) => {
      const [key, value = ""] = part.split("=");
      return [key, decodeURIComponent(value)];
    }));
    const change = {};
    const line = /^\d+$/.test(found.get("line") ?? "") ? Number(found.get("line")) : -1;
    if (line >= 0) {
      change.step = this.recording.lines.filter(([number]) => number <= line).length;
    }
    const byte = /^([0-9a-f]{1,16})(?:\+(\d{1,3}))?$/i.exec(found.get("byte") ?? "");
    if (byte) {
      const address = BigInt("0x" + byte[1]) + BigInt(byte[2] ?? 0);
      change.address = nodeOf(address);
      change.offset = Number(address & 0xffn);
    }
    change.run = this.recording.runs.find((run) => run.name === found.get("machine"));
    if (/^[0-7]$/.test(found.get("tree") ?? "")) change.tree = Number(found.get("tree"));
    this.go(change);
  }

  // -- controls

  #controls() {
    const { runs, lines } = this.recording;
    for (const [number, run] of runs.entries()) {
      const button = element("button", "", run.name);
      button.dataset.run = number;
      button.title = "show or hide this machine";
      button.addEventListener("click", () => this.#toggle(run));
      byId("runs").append(button);
    }
    const select = byId("tree");
    select.append(new Option("current", -1));
    for (const [number, address] of runs[0].trees.entries()) {
      select.append(new Option(`${number} (${hex(address)})`, number));
    }
    byId("tree-label").hidden = runs[0].trees.length < 2;
    select.addEventListener("change", () => this.go({ tree: Number(select.value) }));
    if (!lines.length) {
      byId("operations").hidden = true;
      byId("time").hidden = true;
      byId("operation").hidden = true;
      document.body.classList.add("image");
    }
    byId("slider").addEventListener("input", (event) => this.go({ step: Number(event.target.value) }));
    byId("time").addEventListener("click", (event) => {
      const { go } = event.target.closest("[data-go]")?.dataset ?? {};
      if (go) this.#move(go);
    });
    byId("help-button").addEventListener("click", () => byId("help").showModal());
    byId("theme").addEventListener("click", () => {
      const root = document.documentElement;
      const dark = root.dataset.theme
        ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
    });
    addEventListener("keydown", (event) => this.#key(event));
  }

  #toggle(run) {
    if (!this.shown.has(run)) this.go({ run });
    else if (this.shown.size > 1) {
      this.shown.delete(run);
      this.go({ run: run === this.run ? this.shownRuns()[0] : this.run });
    }
  }

  #move(how) {
    const last = this.recording.lines.length;
    const next = (by) => {
      for (let at = this.step + by; at >= 0 && at <= last; at += by) {
        if (this.signsAt(at)) return at;
      }
      return this.step;
    };
    const step = {
      first: () => 0, last: () => last, back: () => this.step - 1, on: () => this.step + 1,
      "page-back": () => this.step - 10, "page-on": () => this.step + 10,
      "mark-back": () => next(-1), "mark-on": () => next(1),
    }[how]();
    const mark = how.startsWith("mark") && step !== this.step && this.run.marksAt.get(step)?.[0];
    const byte = mark && this.run.cellOf.has(mark.address)
      ? { address: mark.address, offset: mark.offset } : {};
    this.go({ step, ...byte });
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { target } = event;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) && target.type !== "range") return;
    if (byId("help").open) return;
    const arrows = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
    const inTree = target.closest?.("#drawing .node");
    if (inTree && arrows.includes(event.key)) {
      this.#neighbour(event.key);
      event.preventDefault();
      return;
    }
    const inList = target.id === "list";
    const how = {
      ArrowLeft: "back", ArrowRight: "on", Home: "first", End: "last", PageUp: "page-back",
      PageDown: "page-on", "[": "mark-back", "]": "mark-on",
      ...(inList ? { ArrowUp: "back", ArrowDown: "on" } : {}),
    }[event.key];
    if (how) this.#move(how);
    else if (inTree && [" ", "Enter"].includes(event.key)) this.grid.grids.querySelector(".main .selected")?.focus();
    else if (event.key === "/") byId("search").focus();
    else if (event.key === "?") byId("help").showModal();
    else if (event.key === "m") {
      const runs = this.shownRuns();
      this.go({ run: runs[(runs.indexOf(this.run) + 1) % runs.length] });
    } else return;
    event.preventDefault();
  }

  // The node above, below or beside the selected one.
  #neighbour(key) {
    const { nodes, byAddress } = this.treeOf(this.run);
    const node = byAddress.get(this.address) ?? nodes[0];
    const level = nodes.filter((each) => each.depth === node.depth);
    const at = level.indexOf(node);
    const found = {
      ArrowUp: node.parent, ArrowDown: node.children[0], ArrowLeft: level[at - 1], ArrowRight: level[at + 1],
    }[key];
    if (found) this.go({ address: found.cell.address });
  }
}

function byId(id) {
  return document.getElementById(id);
}

function sameBytes(a, b) {
  return a.bytes.every((byte, i) => byte === b.bytes[i]);
}

unpack(byId("recording").textContent).then((bytes) => {
  globalThis.explorer = new Explorer(readRecording(bytes));
  document.body.dataset.ready = "yes";
}).catch((error) => {
  byId("title").textContent = `This page cannot be shown: ${error.message}`;
  console.error(error);
});
