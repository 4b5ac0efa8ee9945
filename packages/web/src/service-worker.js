/*
 * Keeps the page for use without a network, and gives it the headers that threads need where its server sends none. It
 * answers for files of this page alone.
 */
const FILES = __FILES__;
const VERSION =
  "deit-" +
  FILES.join()
    .split("")
    .reduce((hash, c) => (Math.imul(hash, 31) + c.charCodeAt(0)) | 0, 7);

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(VERSION)
      .then((cache) => cache.addAll(FILES))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys())
        if (name.startsWith("deit-") && name !== VERSION) await caches.delete(name);
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  event.respondWith(answer(event.request, url));
});

/** Files whose names hold a hash never change: from the cache. Others from the network, and from the cache without one. */
async function answer(request, url) {
  const cache = await caches.open(VERSION);
  const path = url.pathname + url.search;
  const isFixed = url.pathname.includes("/assets/");
  const kept = isFixed ? await cache.match(path) : undefined;
  if (kept !== undefined) return isolated(kept);
  try {
    const response = await fetch(request);
    if (response.ok && response.status === 200 && response.type === "basic")
      await cache.put(path, response.clone());
    return isolated(response);
  } catch (error) {
    const old =
      (await cache.match(path)) ?? (request.mode === "navigate" ? await cache.match("./") : undefined);
    if (old === undefined) throw error;
    return isolated(old);
  }
}

/** The same response, with which a page is cross-origin isolated. */
function isolated(response) {
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
