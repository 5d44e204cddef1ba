// A node's 256 bytes on each machine, as a grid coloured by field.

const LEGEND = [
  ["is-parent", "parent"], ["is-pivot", "pivot"], ["is-slot", "slot"], ["is-gap", "gap"],
  ["is-meta", "metadata"], ["is-alloc", "maple_alloc"], ["is-rcu", "rcu, dead node"],
  ["unused", "unused"], ["order", "other byte order, same value"], ["differs", "differs in meaning"],
  ["wrote", "written by this operation"], ["marked", "report or fault"],
];

class NodeView {
  constructor(grids, legend, explorer) {
    this.grids = grids;
    this.explorer = explorer;
    for (const [name, text] of LEGEND) {
      const item = element("span");
      item.append(element("span", `byte ${name}`, "0e"), ` ${text}`);
      legend.append(item);
    }
    grids.addEventListener("click", (event) => this.#clicked(event));
    grids.addEventListener("pointerover", (event) => this.#hovered(event));
    grids.addEventListener("pointerleave", () => this.#highlight());
    grids.addEventListener("keydown", (event) => this.#key(event));
  }

  draw() {
    const { explorer } = this;
    const shown = explorer.shownRuns();
    const views = shown.map((run) => {
      const cell = run.cellAt(explorer.address);
      if (!cell) return { run };
      const tree = explorer.treeOf(run);
      return { run, cell, tree, fields: fieldsOf(run, cell, tree) };
    });
    const main = views.find((view) => view.run === explorer.run);
    const focused = this.grids.contains(document.activeElement)
      && document.activeElement.classList.contains("byte");
    this.grids.replaceChildren(...views.map((view) => this.#machine(view, main, views)));
    if (focused) this.grids.querySelector(".machine.main .byte.selected")?.focus();
  }

  #machine(view, main, views) {
    const { run, cell } = view;
    const { explorer } = this;
    const box = element("div", `machine ${run === explorer.run ? "main" : ""}`.trim());
    box.dataset.run = run.name;
    const heading = element("h3");
    const button = element("button", "", run.name);
    button.addEventListener("click", () => explorer.go({ run }));
    heading.append(button);
    box.append(heading);
    if (!cell) {
      box.append(element("p", "faint", "This machine has no such node at this moment."));
      return box;
    }
    heading.append(element("span", "", explorer.cellText(run, cell, view.tree)));
    const others = run === explorer.run ? views.filter((other) => other !== view) : [main];
    const differences = others.filter((other) => other?.cell && other.run.word === run.word)
      .map((other) => compareCells(view, other));
    box.append(this.#grid(view, differences));
    return box;
  }

  #grid({ run, cell, fields }, differences) {
    const { explorer } = this;
    const fieldAt = new Array(CELL);
    for (const [number, field] of fields.entries()) {
      fieldAt.fill(number, field.offset, field.offset + field.size);
    }
    const wrote = explorer.writtenNow(run, cell);
    const marks = new Map();
    for (const mark of run.marks) {
      if (mark.address === cell.address && mark.step <= run.step) marks.set(mark.offset, mark);
    }
    const grid = element("div", "grid");
    grid.setAttribute("role", "grid");
    grid.setAttribute("aria-label", `bytes of ${hex(cell.address)} on ${run.name}`);
    for (let at = 0; at < CELL; at += run.word) {
      const line = element("div", "line");
      line.setAttribute("role", "row");
      line.append(element("span", "at", at));
      for (let offset = at; offset < at + run.word; offset++) {
        const field = fields[fieldAt[offset]];
        const state = differences.some((found) => found[offset] === "differs") ? "differs"
          : differences.some((found) => found[offset] === "order") ? "order" : "";
        const names = ["byte", `is-${field.style}`, state, field.used ? "" : "unused"];
        if (wrote.has(offset)) names.push("wrote");
        if (marks.has(offset)) names.push("marked");
        const selected = offset === explorer.offset;
        if (selected) names.push("selected");
        const byte = element("span", names.filter(Boolean).join(" "),
          cell.bytes[offset].toString(16).padStart(2, "0"));
        byte.dataset.offset = offset;
        byte.dataset.field = fieldAt[offset];
        byte.tabIndex = selected && run === explorer.run ? 0 : -1;
        byte.setAttribute("role", "gridcell");
        byte.setAttribute("aria-selected", selected);
        byte.title = `byte ${offset}: ${field.name} ${field.meaning}`
          + (state === "differs" ? "\ndiffers in meaning between the machines" : "")
          + (state === "order" ? "\nsame value, other byte order" : "")
          + (marks.has(offset) ? `\n${marks.get(offset).text}` : "");
        line.append(byte);
      }
      line.append(this.#names(fields, fieldAt, at, run.word));
      grid.append(line);
    }
    return grid;
  }

  // The names and meanings of the fields that begin in a line.
  #names(fields, fieldAt, at, width) {
    const here = fields.filter((field) => field.offset >= at && field.offset < at + width);
    const shown = here.filter((field) => field.name !== "pad" || here.length === 1);
    const cell = element("span", "name");
    cell.setAttribute("role", "gridcell");
    if (!shown.length) return cell;
    cell.dataset.field = fieldAt[shown[0].offset];
    cell.dataset.offset = shown[0].offset;
    if (shown.every((field) => !field.used)) cell.classList.add("unused");
    const used = shown.filter((field) => field.used);
    for (const [i, field] of (used.length ? used : shown.slice(0, 1)).entries()) {
      if (i) cell.append("; ");
      cell.append(field.name, element("i", "", field.meaning));
    }
    cell.title = shown.map((field) => `${field.name}: ${field.meaning}`).join("\n");
    return cell;
  }

  #clicked(event) {
    const target = event.target.closest("[data-offset]");
    if (!target) return;
    const run = this.#runOf(target);
    this.explorer.go({ run, offset: Number(target.dataset.offset) });
  }

  #runOf(target) {
    const { name } = { name: target.closest(".machine").dataset.run };
    return this.explorer.recording.runs.find((run) => run.name === name);
  }

  // Hovering over a byte shows its field on every machine, hovering over a field its bytes.
  #hovered(event) {
    this.#highlight(event.target.closest("[data-field]"));
  }

  #highlight(target) {
    for (const old of this.grids.querySelectorAll(".same-field")) old.classList.remove("same-field");
    if (!target) return;
    for (const machine of this.grids.querySelectorAll(".machine")) {
      const same = machine.querySelector(`.byte[data-offset="${target.dataset.offset}"]`);
      if (!same) continue;
      for (const part of machine.querySelectorAll(`[data-field="${same.dataset.field}"]`)) {
        part.classList.add("same-field");
      }
    }
  }

  #key(event) {
    if (!event.target.classList.contains("byte")) return;
    const { word } = this.explorer.run;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -word, ArrowDown: word }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const offset = this.explorer.offset + step;
    if (offset < 0 || offset >= CELL) return;
    this.explorer.go({ offset, run: this.#runOf(event.target) });
    this.grids.querySelector(".machine.main .byte.selected")?.focus();
  }
}
