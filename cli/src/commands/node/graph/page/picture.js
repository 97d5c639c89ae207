// Draws a graph, as far as it is seen, into an SVG element. Texts are set as text, never as markup.

const Picture = (() => {
  const SVG = "http://www.w3.org/2000/svg", LINE = 15, PAD_X = 14, PAD_Y = 10;
  const pen = document.createElement("canvas").getContext("2d");

  function make(name, attributes, ...children) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  function width(text, font) {
    if (!pen) return text.length * 7;
    pen.font = font;
    return pen.measureText(text).width;
  }

  function measure(node) {
    const wide = Math.max(...node.lines.map((line, at) => width(line, `${at ? 400 : 600} 12px sans-serif`)));
    const tall = node.lines.length * LINE;
    // Text fills a box, but only the middle of an ellipse.
    const grow = node.process ? 1 : 1.25;
    return { w: wide * grow + 2 * PAD_X, h: tall * grow + 2 * PAD_Y };
  }

  function shape(node, size) {
    return node.process
      ? make("rect", { class: "shape", x: -size.w / 2, y: -size.h / 2, width: size.w, height: size.h, rx: 3, fill: node.fill })
      : make("ellipse", { class: "shape", rx: size.w / 2, ry: size.h / 2, fill: node.fill });
  }

  function words(node) {
    const top = -((node.lines.length - 1) * LINE) / 2 + 4;
    const lines = node.lines.map((line, at) => {
      const part = make("tspan", { x: 0, y: top + at * LINE });
      part.textContent = line;
      return part;
    });
    return make("text", {}, ...lines);
  }

  // The knob above or below a node that folds its links away; shows how many are.
  function handle(node, side, size, count, isFolded) {
    // Beside the middle, where the links' tips are.
    const x = -size.w * 0.3, y = (side === "in" ? -size.h : size.h) * (node.process ? 0.5 : 0.4);
    const sign = make("text", { y: 4 });
    sign.textContent = isFolded ? `+${count}` : "−";
    const title = make("title", {});
    const what = side === "in" ? "where it came from" : "what it led to";
    title.textContent = `${isFolded ? "show" : "hide"} ${what} (${count} links)`;
    const knob = make("circle", { r: isFolded ? 10 : 7 });
    const group = { class: `handle${isFolded ? " folded" : ""}`, transform: `translate(${x} ${y})`, "data-fold": side };
    return make("g", group, knob, sign, title);
  }

  function box(node, spot, size, links, folded) {
    const group = make("g", {
      class: `node${node.origin ? " origin" : ""}`,
      transform: `translate(${spot.x} ${spot.y})`,
      "data-id": node.id,
    }, shape(node, size), words(node));
    for (const side of ["in", "out"]) {
      const count = links[side].get(node.id) || 0;
      if (count) group.append(handle(node, side, size, count, folded.has(Fold.key(node.id, side))));
    }
    return group;
  }

  function curve(points) {
    const [first, ...rest] = points;
    let path = `M${first.x} ${first.y}`, from = first;
    for (const to of rest) {
      const middle = (from.y + to.y) / 2;
      path += `C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${to.y}`;
      from = to;
    }
    return path;
  }

  function arrow(link, points) {
    const path = make("path", { d: curve(points), "marker-end": "url(#arrow)" });
    const middle = (points.length - 1) / 2;
    const [a, b] = [points[Math.floor(middle)], points[Math.ceil(middle)]];
    const [before, after] = a === b ? [points[middle - 1] || a, points[middle + 1] || b] : [a, b];
    const text = make("text", { x: (before.x + after.x) / 2, y: (before.y + after.y) / 2 });
    text.textContent = link.label;
    const title = make("title", {});
    title.textContent = `${link.type}: ${link.label}`;
    return make("g", { class: `link ${link.line}`, "data-type": link.type }, path, text, title);
  }

  function marker() {
    const tip = make("path", { id: "tip", d: "M0 0L10 5L0 10z" });
    const size = { viewBox: "0 0 10 10", refX: 10, refY: 5, markerWidth: 9, markerHeight: 9 };
    return make("defs", {}, make("marker", { id: "arrow", orient: "auto", markerUnits: "userSpaceOnUse", ...size }, tip));
  }

  function tally(graph) {
    const links = { in: new Map(), out: new Map() };
    for (const link of graph.links) {
      links.out.set(link.source, (links.out.get(link.source) || 0) + 1);
      links.in.set(link.target, (links.in.get(link.target) || 0) + 1);
    }
    return links;
  }

  // Draws it anew; gives the elements by node, where each stands, and how large all of it is.
  function draw(svg, graph, folded) {
    const seen = Fold.seen(graph, folded);
    const nodes = graph.nodes.filter((node) => seen.has(node.id));
    const links = graph.links.filter((link) => seen.has(link.source) && seen.has(link.target) && Fold.open(folded, link));
    const sizes = new Map(nodes.map((node) => [node.id, measure(node)]));
    const { place, points } = Layout.layout(nodes.map((node) => ({ id: node.id, ...sizes.get(node.id) })), links);
    const counts = tally(graph);
    const all = make("g", { id: "all" });
    links.forEach((link, at) => all.append(arrow(link, points[at])));
    const elements = new Map();
    for (const node of nodes) {
      elements.set(node.id, box(node, place.get(node.id), sizes.get(node.id), counts, folded));
      all.append(elements.get(node.id));
    }
    svg.replaceChildren(marker(), all);
    return { all, elements, place, bounds: bounds([...place.values()]) };
  }

  function bounds(spots) {
    const least = (of) => spots.reduce((found, spot) => Math.min(found, of(spot)), Infinity);
    const most = (of) => spots.reduce((found, spot) => Math.max(found, of(spot)), -Infinity);
    const left = least((it) => it.x - it.w / 2), top = least((it) => it.y - it.h / 2);
    return { left, top, width: most((it) => it.x + it.w / 2) - left, height: most((it) => it.y + it.h / 2) - top };
  }

  return { draw };
})();
