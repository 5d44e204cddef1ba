// What the bytes of nodes and trees mean, at the current step of a run. The fields and their
// meanings are those of `maple-layout dump --format fields`.

const [, LEAF_64, , ARANGE_64] = [0, 1, 2, 3];
const TYPE_NAMES = ["dense", "leaf_64", "range_64", "arange_64"];
const MAX_DEPTH = 31;

const hex = (value) => value.toString(16);
const hexWord = (run, value) => value.toString(16).padStart(2 * run.word, "0");
const isNode = (word) => (word & 3n) === 2n && word > 4096n;
const nodeOf = (enode) => enode & ~0xffn;
const typeOf = (enode) => Number((enode >> 3n) & 0xfn);

function describeEnode(word) {
  const type = typeOf(word);
  return `${TYPE_NAMES[type] ?? `type ${type}`} node ${hex(nodeOf(word))}`;
}

function describeParent(word) {
  if (word & 1n) return `root of tree ${hex(word & ~1n)}`;
  return `slot ${(word & 0xf8n) >> 3n} of node ${hex(nodeOf(word))}`;
}

function describeEntry(word) {
  if (word === 0n) return "NULL";
  if (word === 0x406n) return "XA_ZERO";
  if (word & 1n) return `value ${hex(word >> 1n)}`;
  if (word < 4096n && (word & 3n) === 2n) return "reserved";
  return `entry ${hex(word)}`;
}

function describeFlags(flags) {
  const words = [`height ${(flags >> 2) & 0x1f}`];
  if (flags & 1) words.push("alloc range");
  if (flags & 2) words.push("RCU");
  if ((flags & 0x300) === 0x300) words.push("external lock");
  if (flags & 0x800) words.push("alloc wrapped");
  return words.join(", ");
}

// A node's data end and slots, as its pivots say: {type, min, max, end, hasMeta, metaRead, ranges,
// problems}; ranges are {slot, first, last, word}.
function viewNode(run, cell, type, min, max) {
  const pivots = run.pivots[type];
  const slots = run.slots[type];
  const pivot = (i) => run.wordOf(cell, (1 + i) * run.word);
  const lastPivot = pivot(pivots - 1);
  const metaEnd = cell.bytes[run.metaOffset[type]];
  let hasMeta = true;
  let metaRead = true;
  let end = metaEnd;
  if (type !== ARANGE_64 && lastPivot !== 0n) {
    metaRead = false;
    hasMeta = lastPivot === max;
    end = hasMeta ? pivots - 1 : pivots;
  }
  const ranges = [];
  const problems = [];
  if (end >= slots) {
    problems.push(`metadata says that data ends at slot ${end}, beyond the last, ${slots - 1}`);
  }
  let first = min;
  for (let i = 0; i < slots; i++) {
    let last = i < pivots ? pivot(i) : max;
    if (last === 0n && i > 0 && i === end) last = max;
    if (last > max) {
      problems.push(`pivot ${i} is ${hex(last)}, beyond the node's last index ${hex(max)}`);
      break;
    }
    if (last < first) {
      problems.push(`pivot ${i} is ${hex(last)}, but slot ${i} starts at ${hex(first)}`);
      break;
    }
    ranges.push({ slot: i, first, last, word: run.wordOf(cell, run.slotOffset[type] + i * run.word) });
    if (last === max) {
      if (i !== end && end < slots) {
        problems.push(`metadata says that data ends at slot ${end}, pivots say ${i}`);
      }
      break;
    }
    first = last + 1n;
  }
  return { type, min, max, end, hasMeta, metaRead, ranges, problems };
}

// The tree whose struct is at an address: {root, flags, entry, nodes, problems}. Nodes are in
// breadth-first order: {cell, type, min, max, depth, parent, slot, view}.
function walkTree(run, address) {
  const rootBytes = run.read(address + BigInt(run.rootOffset), run.word);
  const flagBytes = run.read(address + BigInt(run.flagsOffset), 4);
  const tree = { address, root: 0n, flags: 0, nodes: [], problems: [], byAddress: new Map() };
  if (!rootBytes || !flagBytes) {
    tree.problems.push(`there is no memory for a tree at ${hex(address)}`);
    return tree;
  }
  tree.root = run.number(rootBytes);
  tree.flags = Number(run.number(flagBytes));
  if (!isNode(tree.root)) return tree;
  const queue = [{ word: tree.root, min: 0n, max: run.top, depth: 0, parent: null, slot: 0 }];
  for (let at = 0; at < queue.length; at++) {
    const item = queue[at];
    const where = item.parent
      ? `node ${hex(item.parent.cell.address)}: slot ${item.slot}` : "ma_root";
    const cell = run.cellAt(nodeOf(item.word));
    const type = typeOf(item.word);
    if (item.word === 0n) tree.problems.push(`${where} is NULL where a node is needed`);
    else if (type < LEAF_64 || type > ARANGE_64 || !cell) {
      tree.problems.push(`${where} is ${hex(item.word)}, which points to no node`);
    } else if (tree.byAddress.has(cell.address)) {
      tree.problems.push(`${where} points to node ${hex(cell.address)} again`);
    } else if (item.depth >= MAX_DEPTH) {
      tree.problems.push(`${where} leads deeper than ${MAX_DEPTH} nodes`);
    } else {
      const view = viewNode(run, cell, type, item.min, item.max);
      const node = { ...item, cell, type, view, children: [] };
      for (const problem of view.problems) {
        tree.problems.push(`node ${hex(cell.address)}: ${problem}`);
      }
      tree.nodes.push(node);
      tree.byAddress.set(cell.address, node);
      item.parent?.children.push(node);
      if (type !== LEAF_64) {
        for (const range of view.ranges) {
          queue.push({
            word: range.word, min: range.first, max: range.last,
            depth: item.depth + 1, parent: node, slot: range.slot,
          });
        }
      }
    }
  }
  return tree;
}

// "in the tree", "replaced" (dead, its memory not yet given back), "freed" or "held" (handed out,
// but in no tree).
function stateOf(run, cell, tree) {
  if (cell.state === FREED) return "freed";
  if (tree.byAddress.has(cell.address)) return "live";
  if (cell.state !== IN_USE) return "";
  return nodeOf(run.wordOf(cell, 0)) === cell.address ? "replaced" : "held";
}

const FIELD_CLASS = {
  parent: "parent", pivot: "pivot", slot: "slot", gap: "gap", meta: "meta", pad: "bare",
  tail: "bare", "metadata end": "meta", "metadata gap": "meta", rcu_head: "rcu",
  "topiary link": "rcu", piv_parent: "rcu", parent_slot: "rcu", type: "rcu", slot_len: "rcu",
  "alloc.total": "alloc", "alloc.node_count": "alloc", "alloc.request_count": "alloc",
  "alloc.slot": "alloc", ma_flags: "tree", ma_root: "tree", ma_lock: "tree", unknown: "raw",
};

function makeField(run, cell, kind, number, offset, size, meaning, name) {
  const raw = cell.bytes.subarray(offset, offset + size);
  return {
    name: name ?? (number < 0 ? kind : `${kind}[${number}]`),
    offset, size, value: run.number(raw), meaning,
    used: !meaning.startsWith("unused"),
    style: FIELD_CLASS[kind.split(".")[0]] ?? FIELD_CLASS[kind] ?? "bare",
  };
}

// The fields of a node that is in a tree.
function nodeFields(run, node) {
  const { cell, type, view } = node;
  const { word } = run;
  const fields = [];
  const metaAt = run.metaOffset[type];
  const unused = (value) => (value ? `unused, holds ${hex(value)}` : "unused");
  const add = (kind, number, offset, size) => {
    if (view.hasMeta && offset + size > metaAt && !kind.startsWith("meta") && kind !== "pad") return;
    const value = run.number(cell.bytes.subarray(offset, offset + size));
    let meaning = unused(value);
    const range = number >= 0 ? view.ranges[number] : undefined;
    if (kind === "parent") meaning = describeParent(value);
    else if (kind === "meta.gap" && type === ARANGE_64) meaning = `largest gap is at slot ${value}`;
    else if (kind === "meta.end") meaning = metaMeaning(view, value);
    else if (kind === "gap" && range) meaning = `largest gap below slot ${number}: ${hex(value)}`;
    else if (kind === "pivot" && range) {
      meaning = value === 0n && number
        ? `slot ${number} ends with the node, at ${hex(range.last)}`
        : `slot ${number} is for ${hex(range.first)}-${hex(range.last)}`;
    } else if (kind === "slot" && range) {
      const leaf = type === LEAF_64;
      meaning = leaf ? describeEntry(value) : describeEnode(value);
      if (!view.hasMeta && offset + size === CELL) {
        meaning += ` (${leaf ? "an entry" : "a node"}, no metadata: all slots are in use)`;
      }
    } else if (number >= 0 && number <= view.end && view.problems.length) {
      meaning = `out of order: ${hex(value)}`;
    }
    fields.push(makeField(run, cell, kind, number, offset, size, meaning));
  };
  add("parent", -1, 0, word);
  for (let i = 0; i < run.pivots[type]; i++) add("pivot", i, (1 + i) * word, word);
  const slots = run.slotOffset[type];
  for (let i = 0; i < run.slots[type]; i++) add("slot", i, slots + i * word, word);
  if (type === ARANGE_64) {
    for (let i = 0; i < run.slots[type]; i++) add("gap", i, run.gapOffset + i * word, word);
  }
  if (view.hasMeta) {
    add("meta.end", -1, metaAt, 1);
    add("meta.gap", -1, metaAt + 1, 1);
  }
  const end = fields.at(-1).offset + fields.at(-1).size;
  if (end < CELL) add("pad", -1, end, CELL - end);
  return fields;
}

function metaMeaning(view, value) {
  if (!view.metaRead) {
    const says = BigInt(view.end) === value ? "" : `; metadata, which is not read, says ${value}`;
    return `data ends at slot ${view.end}, as the last pivot says${says}`;
  }
  if (view.problems.some((problem) => problem.includes("metadata"))) {
    return `data would end at slot ${value}, which the pivots deny`;
  }
  return `data ends at slot ${value}`;
}

// The fields of a cell that is in no tree: what was last written where.
function writtenFields(run, cell) {
  const fields = [];
  for (let at = 0; at < CELL;) {
    const tag = cell.tags[at];
    const kind = run.kinds[tag >> INDEX_BITS];
    const writer = cell.writers[at];
    let end = at + 1;
    while (end < CELL && cell.tags[end] === tag) end++;
    if (writer >= 0 && kind === "rcu_head") end = at + run.word;
    const bare = [NEVER, ZEROED].includes(tag >> INDEX_BITS);
    const empty = !cell.bytes.subarray(at, end).some(Boolean);
    if (bare || end - at > 8) {
      const text = bare && !empty ? "" : "unused: ";
      const meaning = text + (kind === "zeroed" ? "set to zero" : kind);
      fields.push({
        name: kind, offset: at, size: end - at, value: 0n, meaning, used: false, style: "bare",
      });
    } else {
      const value = run.number(cell.bytes.subarray(at, end));
      const number = run.indexed(tag) ? tag & ((1 << INDEX_BITS) - 1) : -1;
      fields.push(makeField(run, cell, kind, number, at, end - at, oldMeaning(run, cell, kind, value)));
    }
    at = end;
  }
  return fields;
}

function oldMeaning(run, cell, kind, value) {
  if (kind === "parent") {
    return nodeOf(value) === cell.address ? "marks the node as dead" : describeParent(value);
  }
  if (kind === "metadata end") return `data ended at slot ${value}`;
  if (kind === "alloc.slot" && value) return `node ${hex(nodeOf(value))}`;
  return hex(value);
}

// The fields of a struct maple_tree, for each tree in this cell.
function treeFields(run, cell) {
  const fields = [];
  for (const [number, address] of run.trees.entries()) {
    if (nodeOf(address) !== cell.address) continue;
    const at = Number(address & 0xffn);
    const name = (field) => (run.trees.length > 1 ? `${number}: ${field}` : field);
    const add = (field, offset, size, meaning) => {
      if (at + offset + size > CELL) return;
      const found = makeField(run, cell, field, -1, at + offset, size, "", name(field));
      fields.push({ ...found, meaning: meaning(found.value) });
    };
    add("ma_lock", 0, 4, (value) => (value ? hex(value) : "unused"));
    add("ma_flags", run.flagsOffset, 4, (value) => describeFlags(Number(value)));
    add("ma_root", run.rootOffset, run.word, (value) =>
      isNode(value) ? describeEnode(value) : describeEntry(value));
  }
  fields.sort((a, b) => a.offset - b.offset);
  const all = [];
  let at = 0;
  for (const field of [...fields, { offset: CELL, size: 0 }]) {
    if (field.offset > at) {
      all.push({
        name: "", offset: at, size: field.offset - at, value: 0n, meaning: "unused",
        used: false, style: "bare",
      });
    }
    if (field.size) all.push(field);
    at = field.offset + field.size;
  }
  return all;
}

// The fields of any cell, as it is now.
function fieldsOf(run, cell, tree) {
  const node = tree.byAddress.get(cell.address);
  if (node) return nodeFields(run, node);
  if (run.trees.some((address) => nodeOf(address) === cell.address)) return treeFields(run, cell);
  return writtenFields(run, cell);
}

function fieldAt(fields, offset) {
  return fields.find((field) => offset >= field.offset && offset < field.offset + field.size);
}

// For each byte: "" if equal, "order" if the bytes differ by byte order alone, "differs" if their
// field has another meaning. ours and theirs are {cell, fields}.
function compareCells(ours, theirs) {
  const found = new Array(CELL).fill("");
  const other = new Map(theirs.fields.map((field) => [field.offset, field]));
  for (const field of ours.fields) {
    const match = other.get(field.offset);
    const fits = match && match.size === field.size && match.name === field.name;
    const range = [field.offset, field.offset + field.size];
    const mine = ours.cell.bytes.subarray(...range);
    const yours = theirs.cell.bytes.subarray(...range);
    const wide = field.size > 8;
    const equal = fits && (wide ? mine.every((b, i) => b === yours[i]) : match.value === field.value);
    for (let i = 0; i < field.size; i++) {
      if (!equal && (fits && wide ? mine[i] !== yours[i] : true)) found[field.offset + i] = "differs";
      else if (mine[i] !== yours[i]) found[field.offset + i] = "order";
    }
  }
  return found;
}
