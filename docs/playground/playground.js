// The playground: a form, a worker that runs the package, and a frame with the page that it writes.

import { readLink, writeLink } from "./link.js";

const PLACE = /^(.*): page\.html(#.*)$/; // what the command prints of a moment
const SUMMARY = /^page\.html: (.*): open it in a browser$/;
const MIB = 1 << 20;

const byId = (id) => document.getElementById(`pg-${id}`);
const choices = await (await fetch(new URL("choices.json", import.meta.url))).json();

let worker;
let page = ""; // the address of the explorer's page
let wanted = ""; // the moment that a link asks for

// -- the form

function element(tag, text = "", properties = {}) {
  const made = Object.assign(document.createElement(tag), properties);
  made.textContent = text;
  return made;
}

function box(name, value, text, about = "") {
  const label = element("label");
  label.append(element("input", "", { type: "checkbox", name, value }), element("span", text));
  if (about) label.append(element("small", about));
  return label;
}

function fill() {
  byId("machines").append(...choices.machines.map(({ name, about }) => box("machine", name, name, about)));
  byId("defects").append(...choices.defects.map(({ name, about }) => box("defect", name, name, about)));
  byId("kernel").append(...choices.kernels.map((name) => new Option(name)));
  byId("example").append(new Option("", "", true));
  for (const group of choices.examples) {
    const options = group.examples.map(({ name, about }) => new Option(about, name));
    const made = Object.assign(document.createElement("optgroup"), { label: group.title });
    made.append(...options);
    byId("example").append(made);
  }
}

const boxes = (name) => [...document.querySelectorAll(`.playground input[name=${name}]`)];
const checked = (name) => boxes(name).filter((each) => each.checked).map((each) => each.value);

function read() {
  return {
    trace: byId("trace").value, machines: checked("machine"), kernel: byId("kernel").value,
    defects: checked("defect"),
  };
}

function show({ trace, machines, kernel, defects }) {
  byId("trace").value = trace;
  byId("kernel").value = choices.kernels.includes(kernel) ? kernel : choices.kernels[0];
  for (const each of boxes("machine")) each.checked = machines.includes(each.value);
  for (const each of boxes("defect")) each.checked = defects.includes(each.value);
  count();
}

function count() {
  const chosen = checked("defect");
  byId("chosen").textContent = chosen.length ? `(${chosen.join(", ")})` : "(none)";
}

function example(name) {
  return choices.examples.flatMap((group) => group.examples).find((each) => each.name === name);
}

// -- what is going on

function status(text, done) {
  byId("status").textContent = text;
  byId("progress").hidden = done === undefined;
  byId("progress").value = done ?? 0;
}

function complain(text) {
  byId("said").hidden = !text;
  byId("said").textContent = text;
}

function busy(is) {
  byId("run").disabled = is;
  byId("stop").hidden = !is;
}

function stop() {
  worker?.terminate();
  worker = undefined;
  busy(false);
}

// -- running

function start() {
  const made = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  made.onmessage = ({ data }) => {
    if (data.loaded !== undefined) {
      const done = Math.min(data.loaded / choices.bytes, 1);
      status(done < 1
        ? `Loading Python and maple-layout: ${(data.loaded / MIB).toFixed(1)} of ${(choices.bytes / MIB).toFixed(1)} MiB`
        : "Starting Python", done);
    } else if (data.progress !== undefined) {
      if (data.progress) status(data.progress);
    } else if (data.result) finish(data.result);
    else give(`The package can't run here: ${data.broken}`);
  };
  made.onerror = (event) => give(`The worker can't run here: ${event.message ?? "worker.js or pyodide is missing"}`);
  return made;
}

function give(text) {
  stop(); // whatever it was, the next run has a new worker
  status("");
  complain(text);
}

function run() {
  const { trace, machines, kernel, defects } = read();
  complain("");
  byId("result").hidden = true;
  const options = ["--kernel", kernel];
  if (machines.length) options.push("--arch", machines.join(","));
  for (const name of defects) options.push("--defect", name);
  busy(true);
  status(worker ? "Running" : "Loading Python and maple-layout", worker ? undefined : 0);
  worker ??= start();
  worker.postMessage({ run: { trace, options } });
  remember();
}

function finish({ code, said, page: html }) {
  busy(false);
  const lines = said.split("\n").filter(Boolean);
  const places = lines.map((line) => PLACE.exec(line)).filter(Boolean);
  const summary = lines.map((line) => SUMMARY.exec(line)).find(Boolean)?.[1] ?? "";
  status(summary);
  complain(lines.filter((line) => !PLACE.test(line) && !SUMMARY.test(line)).join("\n"));
  const at = wanted ? `#${wanted}` : places[0]?.[2] ?? "";
  wanted = "";
  if (code > 2) stop();
  if (!html) return;
  URL.revokeObjectURL(page);
  page = URL.createObjectURL(new Blob([html], { type: "text/html" }));
  byId("places").replaceChildren(...places.map(([, text, fragment]) => {
    const button = element("button", text, { type: "button" });
    button.addEventListener("click", () => { byId("frame").contentWindow.location.hash = fragment; });
    return button;
  }));
  byId("save").href = page;
  byId("open").href = page + at;
  byId("frame").src = page + at;
  byId("result").hidden = false;
}

// The explorer is as light or dark as these pages are.
function theme() {
  const root = byId("frame").contentDocument?.documentElement;
  const { theme: chosen } = document.body.dataset;
  if (!root) return;
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  else delete root.dataset.theme;
}

// -- links

const moment = () => (byId("result").hidden ? "" : byId("frame").contentWindow.location.hash);

async function remember(at = "") {
  history.replaceState(null, "", await writeLink(read(), at));
}

async function share() {
  await remember(moment());
  try {
    await navigator.clipboard.writeText(location.href);
    status("The link is copied. It holds the trace, and what is chosen.");
  } catch {
    status("The link is this page's address: copy it from there.");
  }
}

// The first name in a link that no machine, kernel or defect has.
function unknown({ machines, kernel, defects }) {
  const known = (name, all) => all.some((each) => each.name === name);
  return machines.find((name) => !known(name, choices.machines))
    ?? defects.find((name) => !known(name, choices.defects))
    ?? (choices.kernels.includes(kernel) ? undefined : `kernel ${kernel}`);
}

async function follow() {
  try {
    const found = await readLink(location.hash);
    if (!found) return false;
    const known = found.example === undefined ? found : example(found.example);
    if (!known) throw new Error(`There is no example ${found.example}.`);
    const strange = unknown(known);
    if (strange) throw new Error(`This link names ${strange}, which is not known here.`);
    byId("example").value = found.example ?? "";
    wanted = found.at ?? "";
    show(known);
    return true;
  } catch (error) {
    complain(error.message);
    return false;
  }
}

// -- all together

fill();
byId("example").addEventListener("change", () => {
  const found = example(byId("example").value);
  if (found) show(found);
});
byId("defects").addEventListener("change", count);
document.getElementById("playground").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
byId("trace").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !byId("run").disabled) run();
});
byId("trace").addEventListener("input", () => { byId("example").value = ""; });
byId("stop").addEventListener("click", () => {
  stop();
  status("Stopped.");
});
byId("share").addEventListener("click", share);
byId("frame").addEventListener("load", theme);
byId("open").addEventListener("click", () => { byId("open").href = page + moment(); });
new MutationObserver(theme).observe(document.body, { attributeFilter: ["data-theme"] });
addEventListener("hashchange", async () => {
  if (await follow()) {
    if (byId("run").disabled) stop();
    run();
  }
});

show(choices.examples[0].examples[0]);
byId("example").value = choices.examples[0].examples[0].name;
status(`The first run loads ${(choices.bytes / MIB).toFixed(0)} MiB.`);
if (await follow()) run();
document.body.dataset.playground = "ready";
