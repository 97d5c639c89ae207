// The page: search, fold, choose, pan and zoom. `?q=TEXT` begins with a search, `?node=ID` with a node chosen.

(() => {
  const $ = (id) => document.getElementById(id);
  const graph = JSON.parse($("graph").textContent);
  const byId = new Map(graph.nodes.map((node) => [node.id, node]));
  const svg = $("picture"), folded = new Set();
  let drawn, view = { x: 0, y: 0, scale: 1 }, chosen = null, hits = [], at = -1;

  // Pan and zoom.
  function place() {
    drawn.all.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
  }
  function zoom(factor, x = svg.clientWidth / 2, y = svg.clientHeight / 2) {
    const scale = Math.min(8, Math.max(0.02, view.scale * factor)), by = scale / view.scale;
    view = { x: x - (x - view.x) * by, y: y - (y - view.y) * by, scale };
    place();
  }
  function fit() {
    const { left, top, width, height } = drawn.bounds, margin = 24;
    const [w, h] = [svg.clientWidth || 800, svg.clientHeight || 600];
    const scale = Math.min(1.5, (w - 2 * margin) / width, (h - 2 * margin) / height);
    view = { x: w / 2 - (left + width / 2) * scale, y: h / 2 - (top + height / 2) * scale, scale };
    place();
  }
  function centre(id) {
    const spot = drawn.place.get(id);
    if (!spot) return;
    view.scale = Math.max(view.scale, 0.7);
    view.x = svg.clientWidth / 2 - spot.x * view.scale;
    view.y = svg.clientHeight / 2 - spot.y * view.scale;
    place();
  }

  // Search, in everything that is known of a node.
  const texts = new Map(graph.nodes.map((node) => [node.id, JSON.stringify([node.lines, node.facts]).toLowerCase()]));
  function search() {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean).map((word) => JSON.stringify(word).slice(1, -1));
    const matches = (node) => words.every((word) => texts.get(node.id).includes(word));
    hits = words.length ? graph.nodes.filter(matches).map((node) => node.id) : [];
    at = -1;
    mark();
  }
  function next() {
    if (!hits.length) return;
    at = (at + 1) % hits.length;
    reveal(hits[at]);
  }

  // What is marked, and the counts.
  function mark() {
    const asked = $("search").value.trim() !== "", found = new Set(hits);
    svg.classList.toggle("searching", asked);
    for (const [id, element] of drawn.elements) {
      element.classList.toggle("hit", found.has(id));
      element.classList.toggle("chosen", id === chosen);
    }
    $("found").textContent = asked ? `${hits.length} found` : "";
    const hidden = graph.nodes.length - drawn.elements.size;
    $("count").textContent = `${drawn.elements.size} nodes${hidden ? `, ${hidden} folded away` : ""}`;
  }
  function redraw() {
    drawn = Picture.draw(svg, graph, folded);
    place();
    mark();
  }

  // Fold links of a node away, or show them again; the node stays where it is on the screen.
  function fold(id, side) {
    const key = Fold.key(id, side), before = drawn.place.get(id);
    if (!folded.delete(key)) folded.add(key);
    const old = { x: before.x, y: before.y };
    redraw();
    const spot = drawn.place.get(id);
    view.x += (old.x - spot.x) * view.scale;
    view.y += (old.y - spot.y) * view.scale;
    place();
  }
  function reveal(id) {
    if (!drawn.elements.has(id)) { folded.clear(); redraw(); }
    choose(id);
    centre(id);
  }

  // The panel.
  function element(name, text, ...children) {
    const made = document.createElement(name);
    if (text !== null) made.textContent = text;
    made.append(...children);
    return made;
  }
  function button(text, act) {
    const made = element("button", text);
    made.addEventListener("click", act);
    return made;
  }
  function plain(value) {
    return typeof value === "string" ? value : JSON.stringify(value, null, 1);
  }
  function linkList(title, links, end) {
    if (!links.length) return [];
    const line = (link) => {
      const other = byId.get(link[end]);
      return element("li", null, button(`${link.label} (${link.type}): ${other.lines[0]}`, () => reveal(other.id)));
    };
    return [element("h2", title), element("ul", null, ...links.map(line))];
  }
  function choose(id) {
    chosen = id;
    const node = byId.get(id), facts = $("facts");
    const list = element("dl", null);
    for (const [name, value] of node.facts) list.append(element("dt", name), element("dd", plain(value)));
    const tools = element("div", null,
      button("fold what led here", () => fold(id, "in")), button("fold what it led to", () => fold(id, "out")),
      button("close", () => { chosen = null; facts.hidden = true; mark(); }));
    tools.className = "tools";
    facts.replaceChildren(element("h1", node.lines[0]), tools, list,
      ...linkList("from", graph.links.filter((link) => link.target === id), "source"),
      ...linkList("to", graph.links.filter((link) => link.source === id), "target"));
    facts.hidden = false;
    facts.dataset.id = id;
    mark();
  }

  // Hands.
  let held = null;
  svg.addEventListener("pointerdown", (event) => { held = { x: event.clientX, y: event.clientY, moved: false }; });
  window.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
    if (!held.moved && Math.abs(dx) + Math.abs(dy) < 4) return;
    held = { x: event.clientX, y: event.clientY, moved: true };
    svg.classList.add("held");
    view.x += dx;
    view.y += dy;
    place();
  });
  let dragged = false;
  window.addEventListener("pointerup", () => { dragged = Boolean(held && held.moved); held = null; svg.classList.remove("held"); });
  svg.addEventListener("click", (event) => {
    const group = event.target.closest(".node"), handle = event.target.closest(".handle");
    if (dragged || !group) return;
    const id = Number(group.dataset.id);
    if (handle) fold(id, handle.dataset.fold); else choose(id);
  });
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const at = svg.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * 0.0015), event.clientX - at.left, event.clientY - at.top);
  }, { passive: false });
  $("search").addEventListener("input", search);
  $("next").addEventListener("click", next);
  $("larger").addEventListener("click", () => zoom(1.25));
  $("smaller").addEventListener("click", () => zoom(0.8));
  $("fit").addEventListener("click", fit);
  $("unfold").addEventListener("click", () => { folded.clear(); redraw(); fit(); });
  window.addEventListener("keydown", (event) => {
    const typing = event.target === $("search");
    if (typing && event.key === "Enter") next();
    if (typing && event.key === "Escape") { $("search").value = ""; search(); $("search").blur(); }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = { "/": () => { $("search").focus(); event.preventDefault(); }, "+": () => zoom(1.25), "-": () => zoom(0.8), 0: fit };
    if (acts[event.key]) acts[event.key]();
  });

  const asked = new URLSearchParams(window.location.search);
  redraw();
  fit();
  if (asked.get("q")) { $("search").value = asked.get("q"); search(); }
  if (byId.has(Number(asked.get("node")))) choose(Number(asked.get("node")));
})();
