"use strict";
// A layered layout: links go down, nodes of a layer do not overlap, few links cross. After Sugiyama: break circles,
// choose layers, lay long links through places of their own, order each layer by its neighbours, then move each
// place as near below and above its neighbours as its layer allows.

const Layout = (() => {
  const GAP_X = 28, GAP_Y = 64, PLACE = 10, SWEEPS = 12, PLACES_MAX = 20000;

  // The links with those turned round that close a circle.
  function acyclic(ids, links) {
    const out = new Map(ids.map((id) => [id, []]));
    links.forEach((link, at) => out.get(link.source).push(at));
    const state = new Map(), turned = new Set();
    for (const root of ids) {
      if (state.has(root)) continue;
      const stack = [[root, 0]];
      state.set(root, 1);
      while (stack.length) {
        const top = stack[stack.length - 1];
        const next = out.get(top[0])[top[1]++];
        if (next === undefined) { state.set(top[0], 2); stack.pop(); continue; }
        const target = links[next].target;
        if (state.get(target) === 1) turned.add(next);
        else if (!state.has(target)) { state.set(target, 1); stack.push([target, 0]); }
      }
    }
    return links.map((link, at) => turned.has(at)
      ? { from: link.target, to: link.source, turned: true }
      : { from: link.source, to: link.target, turned: false });
  }

  // Layer of each node: one below the lowest of what comes before it; what nothing comes before stands right above
  // what it leads to.
  function layers(ids, edges) {
    const into = new Map(ids.map((id) => [id, 0])), out = new Map(ids.map((id) => [id, []]));
    for (const edge of edges) { into.set(edge.to, into.get(edge.to) + 1); out.get(edge.from).push(edge.to); }
    const left = new Map(into), layer = new Map(), ready = ids.filter((id) => into.get(id) === 0);
    ready.forEach((id) => layer.set(id, 0));
    for (let at = 0; at < ready.length; at++) {
      for (const target of out.get(ready[at])) {
        layer.set(target, Math.max(layer.get(target) || 0, layer.get(ready[at]) + 1));
        left.set(target, left.get(target) - 1);
        if (left.get(target) === 0) ready.push(target);
      }
    }
    for (const id of ids) {
      if (into.get(id) === 0 && out.get(id).length) {
        layer.set(id, Math.min(...out.get(id).map((target) => layer.get(target))) - 1);
      }
    }
    return layer;
  }

  // Rows of places: nodes, and where long links pass.
  function rows(nodes, edges, layer) {
    const made = [], place = new Map();
    const add = (row, size) => {
      const it = { row, w: size.w, h: size.h, up: [], down: [], x: 0, order: 0 };
      (made[row] = made[row] || []).push(it);
      return it;
    };
    for (const node of nodes) place.set(node.id, add(layer.get(node.id), node));
    const between = edges.reduce((sum, edge) => sum + layer.get(edge.to) - layer.get(edge.from) - 1, 0);
    const ways = edges.map((edge) => {
      const way = [place.get(edge.from)];
      const join = (next) => {
        way[way.length - 1].down.push(next);
        next.up.push(way[way.length - 1]);
        way.push(next);
      };
      for (let row = layer.get(edge.from) + 1; row < layer.get(edge.to) && between <= PLACES_MAX; row++) {
        join(add(row, { w: PLACE, h: 0 }));
      }
      join(place.get(edge.to));
      return way;
    });
    for (let row = 0; row < made.length; row++) made[row] = made[row] || [];
    return { rows: made, place, ways };
  }

  const mean = (list, key) => list.reduce((sum, it) => sum + it[key], 0) / list.length;

  function number(row) { row.forEach((it, at) => { it.order = at; }); }

  // How often the links below a row cross: pairs out of order, counted while merging.
  function crossings(row) {
    const ends = row.flatMap((it) => it.down.map((below) => below.order).sort((a, b) => a - b));
    const count = (list) => {
      if (list.length < 2) return [list, 0];
      const half = list.length >> 1;
      const [a, inA] = count(list.slice(0, half)), [b, inB] = count(list.slice(half));
      const merged = [];
      let total = inA + inB, i = 0, j = 0;
      while (i < a.length || j < b.length) {
        if (j >= b.length || (i < a.length && a[i] <= b[j])) merged.push(a[i++]);
        else { merged.push(b[j++]); total += a.length - i; }
      }
      return [merged, total];
    };
    return count(ends)[1];
  }

  function order(all) {
    all.forEach(number);
    let best = Infinity, kept = all.map((row) => row.slice());
    for (let sweep = 0; sweep < SWEEPS && best > 0; sweep++) {
      const downwards = sweep % 2 === 0, key = downwards ? "up" : "down";
      for (const row of downwards ? all : all.slice().reverse()) {
        const want = new Map(row.map((it) => [it, it[key].length ? mean(it[key], "order") : it.order]));
        row.sort((a, b) => want.get(a) - want.get(b) || a.order - b.order);
        number(row);
      }
      const now = all.reduce((sum, row) => sum + crossings(row), 0);
      if (now < best) { best = now; kept = all.map((row) => row.slice()); }
    }
    kept.forEach(number);
    return kept;
  }

  // The nearest places to those wished for that keep order and distance: groups that would overlap share their mean.
  function settle(row, wishes) {
    let shift = 0;
    const groups = [];
    row.forEach((it, at) => {
      if (at) shift += (row[at - 1].w + it.w) / 2 + GAP_X;
      groups.push({ sum: wishes[at] - shift, count: 1, items: [[it, shift]] });
      while (groups.length > 1) {
        const last = groups[groups.length - 1], before = groups[groups.length - 2];
        if (before.sum / before.count <= last.sum / last.count) break;
        before.sum += last.sum;
        before.count += last.count;
        before.items.push(...last.items);
        groups.pop();
      }
    });
    for (const group of groups) for (const [it, offset] of group.items) it.x = group.sum / group.count + offset;
  }

  function spread(all) {
    all.forEach((row) => settle(row, row.map(() => 0)));
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      const downwards = sweep % 2 === 0;
      for (const row of downwards ? all : all.slice().reverse()) {
        const near = (it) => (sweep >= SWEEPS - 2 ? it.up.concat(it.down) : downwards ? it.up : it.down);
        settle(row, row.map((it) => (near(it).length ? mean(near(it), "x") : it.x)));
      }
    }
  }

  // Where each node (`id`, `w`, `h`) stands, and the points that each link (`source`, `target`) passes.
  function layout(nodes, links) {
    const ids = nodes.map((node) => node.id);
    const edges = acyclic(ids, links);
    const built = rows(nodes, edges, layers(ids, edges));
    const all = order(built.rows);
    spread(all);
    let y = 0;
    for (const row of all) {
      const height = row.reduce((most, it) => Math.max(most, it.h), 0);
      row.forEach((it) => { it.y = y + height / 2; });
      y += height + GAP_Y;
    }
    const points = built.ways.map((way, at) => {
      const passed = way.map((it, step) => {
        const edge = step === 0 ? it.h / 2 : step === way.length - 1 ? -it.h / 2 : 0;
        return { x: it.x, y: it.y + edge };
      });
      return edges[at].turned ? passed.reverse() : passed;
    });
    return { place: built.place, points };
  }

  return { layout, crossings };
})();
