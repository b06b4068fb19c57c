(function () {
  "use strict";
  // The reader's own language, where the page has it and nobody chose one when it was made.
  var tongues = document.querySelectorAll("input[name=tongue]");
  var own = (navigator.language || "").slice(0, 2);
  tongues.forEach(function (one) { if (tongues.length && one.value === own) { one.checked = true; } });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (one) { one.open = true; });
  });
  var tip = document.createElement("div");
  tip.id = "tip";
  document.body.appendChild(tip);
  // Plots carry the scale of both axes; the trails are their own data.
  function values(svg, x) {
    var d = svg.dataset, rows = [];
    svg.querySelectorAll("path[data-name]").forEach(function (path) {
      if (!path.points) {
        path.points = (path.getAttribute("d").match(/-?[\d.]+/g) || []).map(Number);
      }
      var p = path.points, low = 0, high = p.length / 2 - 1;
      while (low < high) {
        var middle = (low + high + 1) >> 1;
        if (p[2 * middle] <= x) { low = middle; } else { high = middle - 1; }
      }
      if (p.length && p[0] <= x + 2 && p[p.length - 2] >= x - 2) {
        var value = +d.high - (p[2 * low + 1] - d.top) / d.tall * (d.high - d.low);
        rows.push([value, path.dataset.name]);
      }
    });
    rows.sort(function (a, b) { return b[0] - a[0]; });
    return rows.slice(0, 20).map(function (row) { return row[1] + "  " + row[0].toPrecision(4) + " " + d.unit; });
  }
  function clock(seconds) {
    var s = Math.max(0, Math.round(seconds));
    return [s / 3600 | 0, (s / 60 | 0) % 60, s % 60].map(function (n) { return (n < 10 ? "0" : "") + n; }).join(":");
  }
  document.querySelectorAll("svg[data-from]").forEach(function (svg) {
    svg.addEventListener("mousemove", function (event) {
      var box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal, d = svg.dataset;
      var x = (event.clientX - box.left) / box.width * view.width;
      if (x < +d.left || x > +d.left + +d.wide) { tip.style.display = "none"; return; }
      var at = +d.from + (x - d.left) / d.wide * (d.to - d.from);
      tip.textContent = [clock(at)].concat(values(svg, x)).join("\n");
      tip.style.display = "block";
      tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 4) + "px";
      tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 4) + "px";
    });
    svg.addEventListener("mouseleave", function () { tip.style.display = "none"; });
  });
  document.querySelectorAll("svg[data-cells]").forEach(function (svg) {
    var cells = svg.dataset.cells.split(","), n = +svg.dataset.across, size = +svg.dataset.size, left = +svg.dataset.left, top = +svg.dataset.top;
    var rows = svg.dataset.rows.split(","), columns = svg.dataset.columns.split(",");
    svg.addEventListener("mousemove", function (event) {
      var box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
      var c = Math.floor(((event.clientX - box.left) / box.width * view.width - left) / size);
      var r = Math.floor(((event.clientY - box.top) / box.height * view.height - top) / size);
      var value = c >= 0 && c < n && r >= 0 ? cells[r * n + c] : "";
      if (!value) { tip.style.display = "none"; return; }
      tip.textContent = rows[r] + " → " + columns[c] + "  " + value + " " + svg.dataset.unit;
      tip.style.display = "block";
      tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 4) + "px";
      tip.style.top = (event.clientY + 14) + "px";
    });
    svg.addEventListener("mouseleave", function () { tip.style.display = "none"; });
  });
})();
