// Links that carry a trace and what was chosen for it, in the fragment: no server sees them.

const SHORT = 1200; // characters of a fragment up to which a trace stays readable in it

async function through(bytes, stream) {
  const answer = new Response(new Blob([bytes]).stream().pipeThrough(stream));
  return new Uint8Array(await answer.arrayBuffer());
}

async function pack(text) {
  const bytes = await through(new TextEncoder().encode(text), new CompressionStream("deflate-raw"));
  let chars = "";
  for (const byte of bytes) chars += String.fromCharCode(byte);
  return btoa(chars).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function unpack(packed) {
  const chars = atob(packed.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(chars, (char) => char.charCodeAt(0));
  return new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw")));
}

// The fragment for {trace, machines, kernel, defects} and `at`, a fragment of the explorer's page.
export async function writeLink({ trace, machines, kernel, defects }, at = "") {
  const parts = new URLSearchParams({ machines: machines.join(","), kernel });
  if (defects.length) parts.set("defects", defects.join(","));
  if (at) parts.set("at", at.replace(/^#/, ""));
  parts.set("trace", trace);
  if (String(parts).length > SHORT) {
    parts.delete("trace");
    parts.set("z", await pack(trace));
  }
  return `#${parts}`;
}

// What a fragment holds: {trace, machines, kernel, defects, at} or {example}, undefined where it is
// none of ours. Throws where it is damaged.
export async function readLink(fragment) {
  const parts = new URLSearchParams(fragment.replace(/^#/, ""));
  if (parts.has("example")) return { example: parts.get("example") };
  if (!parts.has("trace") && !parts.has("z")) return undefined;
  const words = (name) => (parts.get(name) ?? "").split(",").filter(Boolean);
  let trace = parts.get("trace");
  try {
    trace ??= await unpack(parts.get("z"));
  } catch {
    throw new Error("This link is damaged: its trace can't be unpacked. Ask for it again.");
  }
  return {
    trace, machines: words("machines"), kernel: parts.get("kernel") ?? "", defects: words("defects"),
    at: parts.get("at") ?? "",
  };
}
