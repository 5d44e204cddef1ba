// The operations with their results, as a list of which only the visible part exists.

const ROW = 24;

// A result in a few words.
function resultText(line) {
  if (!line) return "";
  if (line.fault) return line.fault.kind;
  const words = [];
  for (const key of ["ret", "err", "entry", "index", "start", "ok", "was"]) {
    if (line[key] !== undefined) words.push(`${key === "ret" ? "" : `${key} `}${line[key]}`);
  }
  if (typeof line.ret === "number" && line.ret < 0) words.push(errnoName(line.ret));
  return words.filter(Boolean).join(" ");
}

function errnoName(ret) {
  return { "-12": "ENOMEM", "-16": "EBUSY", "-17": "EEXIST", "-22": "EINVAL" }[ret] ?? "";
}

class ListView {
  constructor(list, rows, explorer) {
    this.list = list;
    this.rows = rows;
    this.explorer = explorer;
    rows.style.height = `${ROW * (explorer.recording.lines.length + 1)}px`;
    list.addEventListener("scroll", () => this.draw());
    rows.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) explorer.go({ step: Number(row.dataset.step) });
    });
    new ResizeObserver(() => this.draw()).observe(list);
  }

  // Draw the visible rows; bring the current one into view if the step has changed.
  draw(follow = false) {
    const { list, explorer } = this;
    const { lines } = explorer.recording;
    const { step, run } = explorer;
    if (follow) {
      const top = step * ROW;
      if (top < list.scrollTop || top + ROW > list.scrollTop + list.clientHeight) {
        list.scrollTop = top - list.clientHeight / 2;
      }
    }
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
    const last = Math.min(lines.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 4);
    const rows = [];
    for (let at = first; at <= last; at++) {
      const row = element("div", "row");
      row.dataset.step = at;
      row.id = `row-${at}`;
      row.style.top = `${at * ROW}px`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", at === step);
      const line = run.results[at - 1];
      const [number, text] = at ? lines[at - 1] : ["", "before the first operation"];
      const ran = at <= run.last;
      row.append(element("span", "n", number), element("span", "op", text));
      row.append(element("span", "res", ran ? resultText(line) : "not reached"));
      const sign = explorer.signsAt(at);
      if (sign) row.append(element("span", "sign", sign));
      rows.push(row);
    }
    this.rows.replaceChildren(...rows);
    list.setAttribute("aria-activedescendant", `row-${step}`);
  }
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
