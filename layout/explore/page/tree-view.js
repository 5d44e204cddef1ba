// The tree as a drawing: a box for each node, with its slots, its range and its signs.

const SVG = "http://www.w3.org/2000/svg";
const LEVEL = 84;

function svgElement(name, attributes = {}, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// How wide boxes are: with text, with a number, or bare.
function boxWidth(leaves) {
  if (leaves <= 8) return 150;
  if (leaves <= 80) return 58;
  return 14;
}

// Draw a tree into an element. marks(node) gives {selected, wrote, sign}; pick(node) is called when
// a node is chosen.
function drawTree(target, run, tree, marks, pick) {
  target.replaceChildren();
  if (!tree.nodes.length) return;
  const levels = [];
  for (const node of tree.nodes) (levels[node.depth] ??= []).push(node);
  const widest = Math.max(...levels.map((level) => level.length));
  const width = boxWidth(widest);
  const gap = width < 20 ? 3 : 12;
  let next = 0;
  const place = (node) => {
    for (const child of node.children) place(child);
    const { children } = node;
    node.x = children.length ? (children[0].x + children.at(-1).x) / 2 : next;
    if (!children.length) next += width + gap;
  };
  place(tree.nodes[0]);
  const inner = Math.max(width, 58);
  const shift = (inner - width) / 2 + 4;
  const svg = svgElement("svg", {
    width: next - gap + inner - width + 8, height: levels.length * LEVEL - 22, role: "group",
    "aria-label": `${tree.nodes.length} nodes`,
  });
  const edges = svgElement("g");
  const boxes = svgElement("g");
  svg.append(edges, boxes);
  for (const node of tree.nodes) {
    node.w = node.children.length ? inner : width;
    node.left = shift + node.x + (width - node.w) / 2;
    node.top = 4 + node.depth * LEVEL;
    if (node.parent) edges.append(edgeTo(run, node));
    boxes.append(box(run, node, marks(node), pick));
  }
  target.append(svg);
}

function slotPlace(run, node, slot) {
  const count = run.slots[node.type];
  const step = (node.w - 8) / count;
  return { x: node.left + 4 + slot * step, step };
}

function edgeTo(run, node) {
  const { x, step } = slotPlace(run, node.parent, node.slot);
  const from = node.parent.top + 52;
  const to = node.left + node.w / 2;
  const middle = (from + node.top) / 2;
  const path = `M${x + step / 2},${from} C${x + step / 2},${middle} ${to},${middle} ${to},${node.top}`;
  return svgElement("path", { class: "edge", d: path });
}

function box(run, node, mark, pick) {
  const { cell, view, left, top, w } = node;
  const used = view.ranges.filter((range) => range.word).length;
  const words = [
    `${TYPE_NAMES[node.type]} node ${hex(cell.address)}`,
    `${hex(node.min)}-${hex(node.max)}`,
    `${view.ranges.length} of ${run.slots[node.type]} slots, ${used} not NULL`,
    mark.wrote ? "written by this operation" : "",
    mark.sign.includes("\u2260") ? "differs between the machines" : "",
    mark.sign.includes("\u26a0") ? "has a report" : "",
  ];
  const label = words.filter(Boolean).join(", ");
  const names = ["node", mark.selected ? "selected" : "", mark.wrote ? "wrote" : ""];
  const group = svgElement("g", {
    class: names.join(" ").trim(), tabindex: mark.selected ? 0 : -1, role: "button",
    "aria-label": label, "data-address": hex(cell.address),
  });
  group.append(svgElement("title", {}, label));
  group.append(svgElement("rect", { class: "box", x: left, y: top, width: w, height: 54, rx: 4 }));
  const short = run.nodeName(cell.address);
  if (w >= 140) {
    group.append(svgElement("text", { x: left + 6, y: top + 15 }, `${short} ${TYPE_NAMES[node.type]}`));
    group.append(svgElement("text", { class: "small", x: left + 6, y: top + 29 },
      fitted(`${hex(node.min)}-${hex(node.max)}`, 23)));
  } else if (w >= 50) {
    group.append(svgElement("text", { x: left + 5, y: top + 15 }, short));
    group.append(svgElement("text", { class: "small", x: left + 5, y: top + 29 }, fitted(hex(node.min), 8)));
  }
  if (w >= 50) group.dataset.wide = "yes";
  const sign = mark.sign + (mark.wrote && w >= 50 ? "\u270e" : "");
  if (sign) {
    group.append(svgElement("text", {
      class: "sign", x: left + w - 4, y: top + (w >= 50 ? 15 : 24), "text-anchor": "end",
    }, sign));
  }
  const count = run.slots[node.type];
  if (w >= 50) {
    for (let i = 0; i < count; i++) {
      const { x, step } = slotPlace(run, node, i);
      const range = view.ranges[i];
      const last = view.hasMeta && node.type !== ARANGE_64 && i === count - 1;
      const name = range ? (range.word ? "used" : "null") : last ? "meta" : "free";
      group.append(svgElement("rect", {
        class: `fill-${name}${w < 140 ? " narrow" : ""}`, x, y: top + 37, width: Math.max(step - .6, 1), height: 12,
      }));
    }
  } else {
    const height = 48 * view.ranges.length / count;
    group.append(svgElement("rect", {
      class: "fill-used", x: left + 3, y: top + 51 - height, width: w - 6, height,
    }));
  }
  group.addEventListener("click", () => pick(cell.address));
  return group;
}

function fitted(text, most) {
  return text.length <= most ? text : `${text.slice(0, most - 1)}\u2026`;
}
