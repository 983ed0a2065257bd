// Routes in the fragment: #/users/usr_1?q=ada. Filters are in it too, so that a view can be linked and come back to.

/** `{ page, id, query }` of a fragment. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [page, id] = path.split("/", 2);
  return { page: page || "overview", id: id ? decodeURIComponent(id) : null, query: Object.fromEntries(new URLSearchParams(query)) };
}

/** The fragment of a route; parameters that are empty are left out. */
export function link(page, id = null, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const tail = kept.length ? `?${new URLSearchParams(kept)}` : "";
  return `#/${page}${id ? `/${encodeURIComponent(id)}` : ""}${tail}`;
}

/** Go to a route. */
export function go(page, id = null, query = {}) {
  location.hash = link(page, id, query);
}
