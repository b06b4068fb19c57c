"use strict";
// Listens to the floor: draws changed tiles where there are tiles, fetches the page's main part anew elsewhere, and says so
// when nothing was heard for 3.5 s.
(() => {
  const stale = document.getElementById("stale");
  const building = document.getElementById("building");
  const trouble = document.getElementById("trouble");
  const language = document.documentElement.lang;
  let revision = null;
  let sums = null;
  let heard = performance.now();
  let fetching = false;
  const mark = () => {
    const silent = performance.now() - heard > 3500;
    stale.hidden = !silent;
    document.body.classList.toggle("stale", silent);
  };
  const draw = ([slot, kind, glyph, word, serial]) => {
    let tile = document.getElementById("t-" + slot);
    if (!tile) {
      tile = document.createElement("a");
      tile.id = "t-" + slot;
      building.lastElementChild.append(tile);
    }
    tile.className = "tile " + kind;
    tile.textContent = glyph;
    tile.title = [slot, serial || "", word].join(" ");
    tile.setAttribute("aria-label", tile.title);
    if (serial) tile.href = "/units/" + encodeURIComponent(serial) + "?lang=" + language;
    else tile.removeAttribute("href");
  };
  const renew = async () => {
    if (fetching) return;
    fetching = true;
    try {
      const page = await (await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(3000) })).text();
      const fresh = new DOMParser().parseFromString(page, "text/html").querySelector("main");
      const here = document.querySelector("main");
      // What is being typed is not taken away.
      if (fresh && !here.contains(document.activeElement)) here.replaceWith(fresh);
    } catch { /* The stream's silence is the sign. */ }
    fetching = false;
  };
  const source = new EventSource("/events?lang=" + language + (building ? "&tiles=1" : ""));
  source.onmessage = (event) => {
    const news = JSON.parse(event.data);
    // Heard now, and seen at the floor some moments before.
    heard = performance.now() - news.a;
    mark();
    trouble.textContent = news.w || "";
    trouble.hidden = !news.w;
    if (building) {
      news.t.forEach(draw);
      document.getElementById("sums").textContent = news.s;
    } else if (revision !== null && (news.r !== revision || news.s !== sums)) {
      // Silence is no event, and changes the sums alone.
      renew();
    }
    revision = news.r;
    sums = news.s;
  };
  // Refused and not only cut off: the session has ended, or there is no place to listen. A page that is asked for anew says which.
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000); };
  setInterval(mark, 500);
})();
