// Beside the tree: the byte with its writers, what the operation returned and wrote, the reports.

const SHOWN_WRITES = 150;

function terms(pairs) {
  const list = element("dl");
  for (const [term, text] of pairs) {
    if (text === undefined || text === "") continue;
    const value = element("dd");
    value.append(text);
    list.append(element("dt", "", term), value);
  }
  return list;
}

function link(text, action, className = "") {
  const button = element("button", `link ${className}`.trim());
  button.append(...[text].flat());
  button.addEventListener("click", action);
  return button;
}

class SideView {
  constructor(explorer) {
    this.explorer = explorer;
  }

  draw() {
    this.#byte();
    this.#result();
    this.#wrote();
    this.#marks();
  }

  #line(step) {
    if (!step) return "before the first operation";
    const [number, text] = this.explorer.recording.lines[step - 1];
    return `line ${number}: ${text}`;
  }

  // -- the byte

  #byte() {
    const { explorer } = this;
    const { run, offset, address } = explorer;
    const target = document.getElementById("byte");
    target.replaceChildren();
    const cell = address === undefined ? undefined : run.cellAt(address);
    if (!cell) {
      target.append(element("p", "faint", "Choose a node, then a byte."));
      return;
    }
    const tree = explorer.treeOf(run);
    const field = fieldAt(fieldsOf(run, cell, tree), offset);
    const at = offset - (offset % run.word);
    const word = run.wordOf(cell, at);
    const pairs = [
      ["place", `${hex(cell.address)}+${offset}`],
      ["value", cell.bytes[offset].toString(16).padStart(2, "0")],
      ["field", field.name], ["meaning", field.meaning],
      ["in a word", `${hexWord(run, word)} (bytes ${at} to ${at + run.word - 1})`],
    ];
    const writer = cell.writers[offset];
    if (writer >= 0 && run.last) {
      const tag = run.tagAt(writer, offset);
      const name = run.kind[writer] === run.entryKinds.copy
        ? `${run.fieldName(cell.tags[offset])}, copied from ${hex(run.addresses[run.source[writer]])}`
        : tag ? run.fieldName(tag) : "a byte";
      pairs.push(["written as", name], ["by", this.#who(run, writer)]);
    } else if (run.last) {
      pairs.push(["written", "never"]);
    }
    const others = explorer.shownRuns().filter((other) => other !== run);
    for (const other of others) {
      const twin = other.cellAt(address);
      if (twin) {
        pairs.push([`on ${other.name}`,
          `${twin.bytes[offset].toString(16).padStart(2, "0")}, word ${hexWord(other, other.wordOf(twin, at))}`]);
      }
    }
    target.append(terms(pairs));
    const number = run.cellOf.get(cell.address);
    const writes = run.writesOf(number, offset);
    if (!run.last || !writes.length) return;
    target.append(element("h2", "", `Written ${writes.length} time${writes.length > 1 ? "s" : ""}`));
    const list = element("ol", "history");
    const now = run.opStart[run.step + 1];
    let start = 0;
    if (writes.length > SHOWN_WRITES) {
      const passed = writes.filter((entry) => entry < now).length;
      start = Math.max(0, Math.min(passed - 20, writes.length - SHOWN_WRITES));
    }
    for (const entry of writes.slice(start, start + SHOWN_WRITES)) {
      const step = run.stepOf(entry);
      const tag = run.tagAt(entry, offset);
      const bytes = `${run.byteBefore(entry, offset).toString(16).padStart(2, "0")} \u2192 `
        + run.byteOf(entry, offset).toString(16).padStart(2, "0");
      const what = run.kind[entry] === run.entryKinds.copy ? "copy" : tag ? run.fieldName(tag) : "byte";
      const state = entry === writer ? "now" : entry >= now ? "later" : "";
      const item = element("li");
      item.append(link([element("code", "", bytes), ` ${what}, `, this.#who(run, entry)],
        () => explorer.go({ step }), state));
      list.append(item);
    }
    target.append(list);
    const current = list.querySelector(".now");
    if (current) list.scrollTop = current.offsetTop - list.offsetTop - 60;
  }

  #who(run, entry) {
    const name = run.functions[run.func[entry]];
    return `${name ? `${name}(), ` : ""}${this.#line(run.stepOf(entry))}`;
  }

  // -- the operation

  #result() {
    const { explorer } = this;
    const target = document.getElementById("result");
    const { run, step } = explorer;
    target.replaceChildren(element("p", "mono", this.#line(step)));
    if (!step) return;
    if (step > run.last) {
      target.append(element("p", "sign", `${run.name} had stopped: ${this.#line(run.last)}`));
      return;
    }
    const runs = explorer.shownRuns();
    for (const each of runs) {
      const line = each.results[step - 1];
      const same = each !== run && JSON.stringify(line) === JSON.stringify(run.results[step - 1]);
      if (same) continue;
      if (runs.length > 1) {
        target.append(element("p", each.differs.has(step) ? "sign" : "faint",
          each.name + (each.differs.has(step) ? " \u2260" : "")));
      }
      target.append(terms(Object.entries(line ?? { "": "not reached" }).map(([key, value]) => [
        { ac: "allocations", fr: "freed", na: "handed out so far", nf: "freed so far" }[key] ?? key,
        key === "fault" ? `${value.kind}: ${value.message}` : short(value),
      ])));
    }
  }

  #wrote() {
    const { explorer } = this;
    const { run, step } = explorer;
    const target = document.getElementById("wrote");
    target.replaceChildren();
    if (step > run.last || !run.last) return;
    const { alloc, free, copy } = run.entryKinds;
    const list = element("ul");
    const first = run.opStart[step];
    const end = run.opStart[step + 1];
    for (let entry = first; entry < Math.min(end, first + SHOWN_WRITES); entry++) {
      const cell = run.addresses[run.cell[entry]];
      const name = explorer.cellName(run, cell);
      const offset = run.offset[entry];
      const by = run.functions[run.func[entry]];
      const tail = element("small", "", by ? ` ${by}()` : "");
      let text;
      if (run.kind[entry] === alloc) text = `handed out ${name}`;
      else if (run.kind[entry] === free) text = `freed ${name}`;
      else if (run.kind[entry] === copy) {
        text = `${name}: copied from ${run.nodeName(run.addresses[run.source[entry]])}`;
      } else text = `${name} ${this.#fields(run, entry)}`;
      const item = element("li");
      item.append(link([text, tail], () => explorer.go({ address: cell, offset })));
      list.append(item);
    }
    const heading = end > first ? `Wrote, in order (${end - first})` : "It wrote nothing.";
    target.append(element("p", "faint", heading), list);
    if (end - first > SHOWN_WRITES) {
      target.append(element("p", "faint", `and ${end - first - SHOWN_WRITES} more`));
    }
  }

  // "pivot[3] 1fff", "slot[2] to slot[9]", of one entry.
  #fields(run, entry) {
    const offset = run.offset[entry];
    const size = run.size[entry];
    const width = run.width[entry];
    const tag = run.tag[entry];
    const last = run.tagAt(entry, offset + size - width);
    const bytes = new Uint8Array(size).map((_, i) => run.byteOf(entry, offset + i));
    if (!tag) return `bytes ${offset} to ${offset + size - 1}: ${hexBytes(bytes)}`;
    if (run.kinds[tag >> INDEX_BITS] === "zeroed") return `bytes ${offset} to ${offset + size - 1} zeroed`;
    if (size > width) {
      const cleared = bytes.some(Boolean) ? "" : " cleared";
      return `${run.fieldName(tag)} to ${run.fieldName(last)}${cleared}`;
    }
    const before = new Uint8Array(size).map((_, i) => run.byteBefore(entry, offset + i));
    const [old, now] = [run.number(before), run.number(bytes)];
    return `${run.fieldName(tag)} ${old === now ? `${hex(now)} again` : `${hex(old)} \u2192 ${hex(now)}`}`;
  }

  // -- reports

  #marks() {
    const { explorer } = this;
    const { run, step } = explorer;
    const list = document.getElementById("marks");
    list.replaceChildren();
    document.getElementById("marks-section").hidden = !run.marks.length;
    for (const mark of run.marks.slice(0, 500)) {
      const item = element("li");
      const place = run.cellOf.has(mark.address) ? `${hex(mark.address)}+${mark.offset}` : "";
      const go = () => explorer.go(place
        ? { step: mark.step, address: mark.address, offset: mark.offset } : { step: mark.step });
      const where = [mark.step ? this.#line(mark.step) : "", place].filter(Boolean).join(", ");
      item.append(link([element("span", "sign", "\u26a0 "), mark.text, element("small", "", ` ${where}`)],
        go, mark.step === step ? "now" : mark.step > step ? "later" : ""));
      list.append(item);
    }
  }
}

function short(value) {
  if (Array.isArray(value) && value.length === 0) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > 300 ? `${text.slice(0, 300)}\u2026` : text;
}

function hexBytes(bytes) {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
