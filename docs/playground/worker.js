// Runs the package in Pyodide, apart from the page. It answers {run: {trace, options}, bytes} with
// {loaded}, {progress} and at last {result: {code, said, page}} or {broken}.

import { loadPyodide } from "./pyodide/pyodide.mjs";

const FOLDER = "/home/pyodide/packages";
let loaded = 0;
let module;

// What Pyodide fetches is counted, since it takes most of the first run's time.
const plainFetch = self.fetch.bind(self);
self.fetch = async (...request) => {
  const answer = await plainFetch(...request);
  if (!answer.ok) throw new Error(`${answer.url} can't be loaded: ${answer.status} ${answer.statusText}`);
  const counted = answer.body.pipeThrough(new TransformStream({
    transform(chunk, out) {
      loaded += chunk.byteLength;
      self.postMessage({ loaded });
      out.enqueue(chunk);
    },
  }));
  return new Response(counted, { status: answer.status, headers: answer.headers });
};

async function load() {
  const address = new URL("packages.zip", import.meta.url);
  const [pyodide, archive] = await Promise.all([
    loadPyodide(), fetch(address).then((answer) => answer.arrayBuffer()),
  ]);
  pyodide.unpackArchive(new Uint8Array(archive), "zip", { extractDir: FOLDER });
  pyodide.runPython(`import sys; sys.path.insert(0, "${FOLDER}")`);
  return pyodide.pyimport("play");
}

self.onmessage = async ({ data: { run } }) => {
  try {
    module ??= await load();
    const tell = (progress) => self.postMessage({ progress });
    const [code, said, page] = module.explore(run.trace, run.options.join(" "), tell).toJs();
    self.postMessage({ result: { code, said, page } });
  } catch (error) {
    self.postMessage({ broken: String(error.message ?? error).trim().split("\n").at(-1) });
  }
};
