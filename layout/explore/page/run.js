// One run: the entries of its journal, and its memory at any step. Step 0 is before the first
// operation, step i what operation i left.

const CELL = 256;
const ALL_ZERO = 4;
const UNKNOWN = 0;
const NEVER = 1;
const ZEROED = 2;
const INDEX_BITS = 9;
const IN_USE = 1;
const FREED = 2;

class Cell {
  constructor(address) {
    this.address = address;
    this.clear();
  }

  clear() {
    this.bytes = new Uint8Array(CELL);
    this.tags = new Uint16Array(CELL).fill(NEVER << INDEX_BITS);
    this.writers = new Int32Array(CELL).fill(-1); // the entry that wrote each byte
    this.state = 0;
    this.done = 0; // how many of its entries are applied
  }
}

class Run {
  constructor(facts, log, header, first) {
    Object.assign(this, facts);
    this.kinds = header.kinds;
    this.functions = header.functions;
    this.entryKinds = header.entryKinds;
    this.top = (1n << BigInt(8 * this.word)) - 1n;
    this.last = this.results.length; // the last step
    this.addresses = facts.cells.map((hex) => BigInt("0x" + hex));
    this.trees = facts.trees.map((hex) => BigInt("0x" + hex));
    this.differs = new Set(facts.differs);
    this.marks = facts.marks.map(([step, cell, offset, kind, text]) => ({
      step, address: BigInt("0x" + cell), offset, kind, text,
    }));
    this.marksAt = new Map();
    for (const mark of this.marks) {
      this.marksAt.set(mark.step, [...(this.marksAt.get(mark.step) ?? []), mark]);
    }
    this.cellOf = new Map(this.addresses.map((address, i) => [address, i]));
    this.#read(log, first);
    this.step = this.last;
    this.cells = new Map(); // as they are at a step, brought up to date when they are asked for
    this.#list();
  }

  // -- the journal

  #read(log, first) {
    const n = this.entries;
    this.kind = new Uint8Array(n);
    this.cell = new Uint32Array(n);
    this.func = new Uint16Array(n);
    this.offset = new Uint8Array(n);
    this.tag = new Uint16Array(n);
    this.width = new Uint16Array(n);
    this.size = new Uint16Array(n);
    this.source = new Uint32Array(n);
    this.data = new Int32Array(n).fill(-1); // where its bytes are; -1: all 0
    this.bytes = new Uint8Array(this.byteCount);
    this.opStart = new Uint32Array(this.last + 2);
    const { write, copy } = this.entryKinds;
    const reader = new Reader(log);
    let entry = 0;
    let used = 0;
    for (let step = 0; step <= this.last; step++) {
      this.opStart[step] = entry;
      let count = reader.number() - 1;
      if (count < 0) {
        const end = first.opStart[step + 1];
        for (let other = first.opStart[step]; other < end; other++, entry++) {
          used = this.#share(entry, other, first, used);
        }
        continue;
      }
      for (; count > 0; count--, entry++) {
        const head = reader.number();
        this.kind[entry] = head & (ALL_ZERO - 1);
        this.cell[entry] = reader.number();
        this.func[entry] = reader.number();
        this.width[entry] = 1;
        if (this.kind[entry] === write) {
          this.offset[entry] = reader.number();
          this.tag[entry] = reader.number();
          this.width[entry] = reader.number();
          this.size[entry] = this.width[entry] * reader.number();
          if (!(head & ALL_ZERO)) {
            this.bytes.set(log.subarray(reader.at, reader.at + this.size[entry]), used);
            reader.at += this.size[entry];
            this.data[entry] = used;
            used += this.size[entry];
          }
        } else if (this.kind[entry] === copy) {
          this.source[entry] = reader.number();
          this.size[entry] = CELL;
        }
      }
    }
    this.opStart[this.last + 1] = entry;
  }

  // An entry that is the first run's, apart from byte order.
  #share(entry, other, first, used) {
    for (const name of ["kind", "func", "offset", "tag", "width", "size"]) {
      this[name][entry] = first[name][other];
    }
    this.cell[entry] = this.#cellNumber(first.addresses[first.cell[other]]);
    if (this.kind[entry] === this.entryKinds.copy) {
      this.source[entry] = this.#cellNumber(first.addresses[first.source[other]]);
    }
    const from = first.data[other];
    if (from < 0 || this.kind[entry] !== this.entryKinds.write) return used;
    const size = this.size[entry];
    const width = this.width[entry];
    const bytes = first.bytes.slice(from, from + size);
    if (this.bigEndian !== first.bigEndian && width > 1 && width < CELL) {
      for (let at = 0; at < size; at += width) bytes.subarray(at, at + width).reverse();
    }
    this.bytes.set(bytes, used);
    this.data[entry] = used;
    return used + size;
  }

  #cellNumber(address) {
    let number = this.cellOf.get(address);
    if (number === undefined) {
      number = this.addresses.push(address) - 1;
      this.cellOf.set(address, number);
    }
    return number;
  }

  // -- time

  // The entries of each cell, and which of them hand it out and give it back.
  #list() {
    this.byCell = this.addresses.map(() => []);
    this.allocated = new Map();
    this.freed = new Map();
    this.copied = new Map(); // what copies copied: bytes and tags
    for (let entry = 0; entry < this.entries; entry++) {
      const number = this.cell[entry];
      this.byCell[number].push(entry);
      if (this.kind[entry] === this.entryKinds.alloc) this.allocated.set(number, entry);
      else if (this.kind[entry] === this.entryKinds.free) this.freed.set(number, entry);
    }
  }

  // Go to a step; beyond the last one nothing changes any more.
  seek(step) {
    this.step = Math.max(0, Math.min(step, this.last));
  }

  // The first entry that lies ahead.
  get now() {
    return this.opStart[this.step + 1];
  }

  #at(number, end, cell) {
    const entries = this.byCell[number];
    if (cell.done && entries[cell.done - 1] >= end) cell.clear();
    while (cell.done < entries.length && entries[cell.done] < end) {
      this.#apply(cell, entries[cell.done++]);
    }
    return cell;
  }

  #copiedBy(entry) {
    let found = this.copied.get(entry);
    if (!found) {
      const source = this.source[entry];
      const { bytes, tags } = this.#at(source, entry, new Cell(this.addresses[source]));
      found = { bytes, tags };
      this.copied.set(entry, found);
    }
    return found;
  }

  // The nodes that are handed out and not given back, and those that were given back: numbers.
  nodesNow() {
    const held = [];
    const freed = [];
    for (const [number, entry] of this.allocated) {
      if (entry >= this.now) continue;
      if ((this.freed.get(number) ?? Infinity) < this.now) freed.push(number);
      else held.push(number);
    }
    return { held, freed };
  }

  #apply(cell, entry) {
    const { write, copy, alloc, free } = this.entryKinds;
    switch (this.kind[entry]) {
      case alloc: cell.state = IN_USE; return;
      case free: cell.state = FREED; return;
      case copy: {
        const source = this.#copiedBy(entry);
        cell.bytes.set(source.bytes);
        cell.tags.set(source.tags);
        cell.writers.fill(entry);
        return;
      }
      case write: break;
    }
    const start = this.offset[entry];
    const end = start + this.size[entry];
    const from = this.data[entry];
    if (from < 0) cell.bytes.fill(0, start, end);
    else cell.bytes.set(this.bytes.subarray(from, from + this.size[entry]), start);
    cell.writers.fill(entry, start, end);
    if (this.tag[entry] >> INDEX_BITS === UNKNOWN) return;
    for (let at = start; at < end; at++) cell.tags[at] = this.tagAt(entry, at);
  }

  // -- questions about entries

  stepOf(entry) {
    let low = 0;
    let high = this.last + 1;
    while (low < high - 1) {
      const middle = (low + high) >> 1;
      if (this.opStart[middle] <= entry) low = middle;
      else high = middle;
    }
    return low;
  }

  indexed(tag) {
    return ["pivot", "slot", "gap", "alloc.slot"].includes(this.kinds[tag >> INDEX_BITS]);
  }

  // The tag that an entry gives to the byte at this offset of its cell.
  tagAt(entry, offset) {
    const tag = this.tag[entry];
    if (!this.indexed(tag)) return tag;
    return tag + Math.floor((offset - this.offset[entry]) / this.width[entry]);
  }

  fieldName(tag) {
    const name = this.kinds[tag >> INDEX_BITS];
    return this.indexed(tag) ? `${name}[${tag & ((1 << INDEX_BITS) - 1)}]` : name;
  }

  // The byte that an entry left at this offset of its cell.
  byteOf(entry, offset) {
    if (this.kind[entry] === this.entryKinds.copy) return this.#copiedBy(entry).bytes[offset];
    return this.data[entry] < 0 ? 0 : this.bytes[this.data[entry] + offset - this.offset[entry]];
  }

  // The entries that wrote a byte, oldest first.
  writesOf(number, offset) {
    return (this.byCell[number] ?? []).filter((entry) => this.covers(entry, offset));
  }

  covers(entry, offset) {
    return offset >= this.offset[entry] && offset < this.offset[entry] + this.size[entry];
  }

  // The byte as it was before an entry.
  byteBefore(entry, offset) {
    const entries = this.byCell[this.cell[entry]];
    for (let i = entries.indexOf(entry) - 1; i >= 0; i--) {
      if (this.covers(entries[i], offset)) return this.byteOf(entries[i], offset);
    }
    return 0;
  }

  // -- memory at the current step

  cellAt(address) {
    const number = this.cellOf.get(address & ~0xffn);
    if (number === undefined) return undefined;
    let cell = this.cells.get(number);
    if (!cell) this.cells.set(number, cell = new Cell(this.addresses[number]));
    return this.#at(number, this.now, cell);
  }

  // The bytes at an address, undefined where a cell is not known.
  read(address, size) {
    const found = new Uint8Array(size);
    for (let i = 0; i < size; i++) {
      const cell = this.cellAt(address + BigInt(i));
      if (!cell) return undefined;
      found[i] = cell.bytes[Number((address + BigInt(i)) & 0xffn)];
    }
    return found;
  }

  number(bytes) {
    let value = 0n;
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[this.bigEndian ? i : bytes.length - 1 - i];
      value = (value << 8n) | BigInt(byte);
    }
    return value;
  }

  wordOf(cell, offset) {
    return this.number(cell.bytes.subarray(offset, offset + this.word));
  }

  // What a node is called: #12 is the thirteenth that the node cache handed out.
  nodeName(address) {
    if (this.nodeBase && address >= BigInt("0x" + this.nodeBase)) {
      return `#${(address - BigInt("0x" + this.nodeBase)) / 256n}`;
    }
    const digits = address.toString(16);
    return digits.length > 8 ? `\u2026${digits.slice(-6)}` : digits;
  }

  // The current tree's number, as sel left it.
  treeAt(step) {
    let number = 0;
    for (const [from, tree] of this.treeSteps) {
      if (from > step) break;
      number = tree;
    }
    return number;
  }
}
