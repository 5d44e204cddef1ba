// One run: the entries of its journal, and its memory at any step. Step 0 is before the first
// operation, step i what operation i left.

const CELL = 256;
const CHECKPOINT = 64; // steps between moments that are kept
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
    this.bytes = new Uint8Array(CELL);
    this.tags = new Uint16Array(CELL).fill(NEVER << INDEX_BITS);
    this.writers = new Int32Array(CELL).fill(-1); // the entry that wrote each byte
    this.state = 0;
  }

  copy() {
    const copy = Object.create(Cell.prototype);
    copy.address = this.address;
    copy.bytes = this.bytes.slice();
    copy.tags = this.tags.slice();
    copy.writers = this.writers.slice();
    copy.state = this.state;
    return copy;
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
    this.step = -1;
    this.live = [];
    this.kept = [];
    this.#play();
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

  // Play all steps once: keep a copy of what changed every CHECKPOINT steps, list writes by cell.
  #play() {
    this.byCell = this.addresses.map(() => []);
    this.copied = new Map(); // the bytes that a copy copied
    this.reset();
    let changed = new Set();
    for (let step = 0; step <= this.last; step++) {
      for (let entry = this.opStart[step]; entry < this.opStart[step + 1]; entry++) {
        this.#apply(entry);
        changed.add(this.cell[entry]);
        this.byCell[this.cell[entry]].push(entry);
        if (this.kind[entry] === this.entryKinds.copy) {
          this.copied.set(entry, this.live[this.source[entry]].bytes.slice());
        }
      }
      if (step % CHECKPOINT === 0) {
        for (const number of changed) {
          (this.kept[number] ??= []).push([step, this.live[number].copy()]);
        }
        changed = new Set();
      }
    }
    this.step = this.last;
  }

  reset() {
    this.live = this.addresses.map((address) => new Cell(address));
    this.step = -1;
  }

  // Go to a step; beyond the last one nothing changes any more.
  seek(step) {
    const wanted = Math.max(0, Math.min(step, this.last));
    if (wanted < this.step || wanted - this.step > 2 * CHECKPOINT) {
      const kept = wanted - (wanted % CHECKPOINT);
      this.live = this.addresses.map((address, number) => this.#keptAt(number, kept, address));
      this.step = kept;
    }
    for (let entry = this.opStart[this.step + 1]; entry < this.opStart[wanted + 1]; entry++) {
      this.#apply(entry);
    }
    this.step = wanted;
  }

  #keptAt(number, step, address) {
    const kept = this.kept[number] ?? [];
    let low = 0;
    let high = kept.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (kept[middle][0] <= step) low = middle + 1;
      else high = middle;
    }
    return low ? kept[low - 1][1].copy() : new Cell(address);
  }

  #apply(entry) {
    const cell = this.live[this.cell[entry]];
    const { write, copy, alloc, free } = this.entryKinds;
    switch (this.kind[entry]) {
      case alloc: cell.state = IN_USE; return;
      case free: cell.state = FREED; return;
      case copy: {
        const source = this.live[this.source[entry]];
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
    const copied = this.copied.get(entry);
    if (copied) return copied[offset];
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
    return number === undefined ? undefined : this.live[number];
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
