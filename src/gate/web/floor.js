"use strict";
// Asks the floor every 2 s whether anything changed, puts the new list in place, and says so when no answer came for 4 s.
(() => {
  const stale = document.getElementById("stale");
  let revision = null;
  let answered = performance.now();
  const mark = () => {
    const silent = performance.now() - answered > 4000;
    stale.hidden = !silent;
    document.body.classList.toggle("stale", silent);
  };
  const ask = async () => {
    try {
      const within = { cache: "no-store", signal: AbortSignal.timeout(1900) };
      const now = await (await fetch("/pulse", within)).text();
      if (revision !== null && now !== revision) {
        const page = await (await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(1900) })).text();
        const fresh = new DOMParser().parseFromString(page, "text/html").querySelector("main");
        const here = document.querySelector("main");
        // What is being typed is not taken away.
        if (fresh && !here.contains(document.activeElement)) here.replaceWith(fresh);
      }
      revision = now;
      answered = performance.now();
    } catch { /* Silence is the sign. */ }
    mark();
  };
  setInterval(ask, 2000);
  setInterval(mark, 500);
})();
