(function () {
  "use strict";
  // The reader's own language, where the page has it and nobody chose one when it was made.
  var tongues = document.querySelectorAll("input[name=tongue]");
  var own = (navigator.language || "").slice(0, 2);
  tongues.forEach(function (one) { if (tongues.length && one.value === own) { one.checked = true; } });
  // Times are told as the reader's clock shows them; what was recorded stays in the tip.
  document.querySelectorAll("time").forEach(function (one) {
    var at = new Date(one.dateTime);
    if (!(at.getTime() > 0)) { return; }
    one.title = one.dateTime;
    one.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }) + " " +
      at.toLocaleTimeString(undefined, { timeZoneName: "short" }).split(" ").pop();
  });
  // Steps, rows and parts that hold every word that is typed.
  document.querySelectorAll("p.filter").forEach(function (place) {
    place.hidden = false;
    place.querySelector("input").addEventListener("input", function (event) {
      var words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      function holds(text) { return words.every(function (word) { return text.toLowerCase().indexOf(word) >= 0; }); }
      document.querySelectorAll("table.components tr").forEach(function (row) {
        row.hidden = row.querySelector("td") && !holds(row.textContent);
      });
      document.querySelectorAll("details.step").forEach(function (step) {
        var whole = holds(step.querySelector("summary").textContent), any = whole;
        step.querySelectorAll("table.steps tr").forEach(function (row) {
          var fits = whole || !row.querySelector("td") || holds(row.textContent);
          row.hidden = !fits;
          any = any || (fits && row.querySelector("td"));
        });
        step.hidden = !any;
      });
    });
  });
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
  // Dragging over a plot shows that stretch of time on all plots of the same time; a double click shows all of it again.
  var shown = {};
  function span(svg) {
    return shown[svg.dataset.from + " " + svg.dataset.to] || [+svg.dataset.from, +svg.dataset.to];
  }
  function draw(svg) {
    var d = svg.dataset, s = span(svg), stretch = (d.to - d.from) / (s[1] - s[0]), move = svg.querySelector("g.time");
    if (!move) { return; }
    var begin = +d.left + (s[0] - d.from) / (d.to - d.from) * d.wide;
    move.setAttribute("transform", "translate(" + (d.left - begin * stretch) + " 0) scale(" + stretch + " 1)");
    var axis = svg.querySelector("g.clock");
    axis.first = axis.first || axis.innerHTML;
    if (stretch === 1) { axis.innerHTML = axis.first; return; }
    var y = +d.top + +d.tall, marks = "<path class=axis d='M" + d.left + " " + y + "h" + d.wide + "'/>";
    for (var i = 0; i <= 8; i++) {
      var x = +d.left + i / 8 * d.wide;
      marks += "<text class=mid x=" + x + " y=" + (y + 18) + ">" + clock(s[0] + i / 8 * (s[1] - s[0])) + "</text>";
    }
    axis.innerHTML = marks;
  }
  function show(svg, from, to) {
    shown[svg.dataset.from + " " + svg.dataset.to] = [from, to];
    document.querySelectorAll("svg[data-from]").forEach(function (other) {
      if (other.dataset.from === svg.dataset.from && other.dataset.to === svg.dataset.to) { draw(other); }
    });
  }
  document.querySelectorAll("svg[data-from]").forEach(function (svg) {
    var begun = null;
    function second(event) {
      var box = svg.getBoundingClientRect(), d = svg.dataset, s = span(svg);
      var x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      return s[0] + Math.max(0, Math.min(1, (x - d.left) / d.wide)) * (s[1] - s[0]);
    }
    svg.addEventListener("mousedown", function (event) { begun = second(event); event.preventDefault(); });
    svg.addEventListener("mouseup", function (event) {
      var end = second(event), from = Math.min(begun, end), to = Math.max(begun, end);
      if (begun !== null && to - from > 2 && to - from > (svg.dataset.to - svg.dataset.from) / 500) { show(svg, from, to); }
      begun = null;
    });
    svg.addEventListener("dblclick", function () { show(svg, +svg.dataset.from, +svg.dataset.to); });
    svg.addEventListener("mousemove", function (event) {
      var box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal, d = svg.dataset;
      var x = (event.clientX - box.left) / box.width * view.width;
      if (x < +d.left || x > +d.left + +d.wide) { tip.style.display = "none"; return; }
      var at = second(event);
      x = +d.left + (at - d.from) / (d.to - d.from) * d.wide;
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
