// A recording, as the page holds it: unpacked and read. layout/explore/recording.py describes it.

class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  number() {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.bytes[this.at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }
}

async function unpack(base64) {
  const packed = Uint8Array.from(atob(base64.trim()), (char) => char.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// {title, lines: [[number, text]], kinds, functions, runs: [Run]}
function readRecording(bytes) {
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
  const runs = [];
  let at = 4 + size;
  for (const facts of header.runs) {
    const log = bytes.subarray(at, at + facts.logSize);
    at += facts.logSize;
    facts.results = facts.results.map((line, i) => (line === 0 ? runs[0].results[i] : line));
    runs.push(new Run(facts, log, header, runs[0]));
  }
  return { ...header, runs };
}
