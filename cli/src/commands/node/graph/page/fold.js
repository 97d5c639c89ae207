// Which nodes are seen: those that the origins reach, in any direction, by links that are not folded away.

const Fold = (() => {
  // `folded` has "id:out" for links that leave a node, "id:in" for those that end at it.
  const key = (id, side) => `${id}:${side}`;

  function open(folded, link) {
    return !folded.has(key(link.source, "out")) && !folded.has(key(link.target, "in"));
  }

  function seen(graph, folded) {
    const near = new Map(graph.nodes.map((node) => [node.id, []]));
    for (const link of graph.links) {
      if (!open(folded, link)) continue;
      near.get(link.source).push(link.target);
      near.get(link.target).push(link.source);
    }
    const found = new Set(graph.nodes.filter((node) => node.origin).map((node) => node.id));
    for (const id of found) near.get(id).forEach((other) => found.add(other));
    return found;
  }

  return { key, open, seen };
})();
