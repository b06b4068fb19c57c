// Measures the building's page with 1,008 trays in Chromium; started by `ci/page --load`. Fifty tiles a second change because a unit
// is scanned into each, until the hall is full: what the browser and the floor take of a core is read from /proc. Then the floor is
// stopped (SIGSTOP), and the page must say within five seconds that it may be old.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { request, Agent } from "node:http";
import { chromium } from "playwright-core";

const [browserPath, programs, pictures, work] = process.argv.slice(2);
const [racks, slots, aSecond, ticks] = [56, 18, 50, 100];
let failed = 0;
const check = (name, so, more = "") => {
  if (!so) failed += 1;
  console.log(`${so ? "ok  " : "FAIL"} ${name}${more ? `: ${more}` : ""}`);
};
const pause = (ms) => new Promise((then) => setTimeout(then, ms));
// Processor time in seconds of a process and of all that descend from it; USER_HZ is 100 on Linux.
const spent = (root) => {
  const all = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
      all.set(Number(pid), { parent: Number(fields[1]), time: (Number(fields[11]) + Number(fields[12])) / ticks });
    } catch { /* It has ended. */ }
  }
  const below = (pid) => [...all].filter(([, one]) => one.parent === pid).reduce((sum, [child]) => sum + below(child), all.get(pid)?.time ?? 0);
  return below(root);
};

const names = [];
for (let rack = 1; rack <= racks; rack += 1) {
  for (let slot = 1; slot <= slots; slot += 1) names.push([`r${String(rack).padStart(2, "0")}-${String(slot).padStart(2, "0")}`, `SRV${rack}X${slot}`]);
}
const places = [...new Set(names.map(([slot]) => slot.split("-")[0]))].map((rack) => `  - { id: ${rack}, kind: hgx, slots: ${slots}, power: feed }`);
writeFileSync(
  `${work}/hall.yaml`,
  `schema: kiln.floor/1\nname: hall\npoll: 2s\nroute:\n  - { profile: smoke }\npower:\n  - { id: feed, limit: 100000 kW }\nkinds:\n  - { id: hgx, sku: h200-sxm, gpus: 8, host: 3.5 kW }\nracks:\n${places.join("\n")}\n`,
);
const floor = spawn(`${programs}/kiln-floor`, ["serve", "--data", `${mkdtempSync(`${work}/floor-`)}`, "--floor", `${work}/hall.yaml`, "--listen", "127.0.0.1:0"], {
  stdio: ["ignore", "pipe", "inherit"],
});
const address = await new Promise((then) => floor.stdout.once("data", (line) => then(String(line).trim().replace(/\/$/, ""))));
const lines = new Agent({ keepAlive: true, maxSockets: 8 });
const call = (method, path, body = "") =>
  new Promise((then, fails) => {
    const headers = { Origin: address, "Content-Type": "application/x-www-form-urlencoded", "Content-Length": Buffer.byteLength(body) };
    const sent = request(address + path, { method, agent: lines, headers }, (answer) => {
      let bytes = 0;
      answer.on("data", (piece) => { bytes += piece.length; });
      answer.on("end", () => then({ status: answer.statusCode, bytes }));
    });
    sent.on("error", fails);
    sent.end(body);
  });

const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
try {
  const page = await (await browser.newContext({ viewport: { width: 1920, height: 1080 }, locale: "ja-JP" })).newPage();
  // Of all processes that this one started, the one that is not the floor is the browser.
  const chromiumPid = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).find((pid) => {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
      return Number(fields[1]) === process.pid && pid !== floor.pid;
    } catch { return false; }
  });
  const metrics = await page.context().newCDPSession(page);
  await metrics.send("Performance.enable");
  const task = async () => (await metrics.send("Performance.getMetrics")).metrics.find((one) => one.name === "TaskDuration").value;
  await page.goto(`${address}/building?lang=ja`);
  await page.waitForSelector(".tile");
  check(`${names.length} trays are on the page`, (await page.locator(".tile").count()) === names.length);
  const over = await page.evaluate(() => document.documentElement.scrollHeight - document.documentElement.clientHeight);
  check("they fit on one screen of 1920 x 1080", over <= 0, over > 0 ? `${over} points too high` : "");

  await pause(3000);
  const [before, browserBefore, floorBefore, began] = [await task(), spent(chromiumPid), spent(floor.pid), performance.now()];
  let refused = 0;
  const waiting = [];
  for (const [index, [slot, serial]] of names.entries()) {
    const due = began + (index * 1000) / aSecond;
    if (due > performance.now()) await pause(due - performance.now());
    waiting.push(call("POST", "/scan", `serial=${serial}&slot=${slot}&by=sato`).then((answer) => { refused += answer.status === 303 ? 0 : 1; }));
  }
  await Promise.all(waiting);
  const seconds = (performance.now() - began) / 1000;
  const [after, browserAfter, floorAfter] = [await task(), spent(chromiumPid), spent(floor.pid)];
  check("every scan was taken", refused === 0, `${names.length - refused} in ${seconds.toFixed(1)} s, ${((names.length - refused) / seconds).toFixed(1)} changes a second`);
  await page.waitForFunction(() => document.querySelectorAll(".tile.empty").length === 0, undefined, { timeout: 10000 });
  check("every change arrived on the page", true);
  const [thread, chrome, server] = [(after - before) / seconds, (browserAfter - browserBefore) / seconds, (floorAfter - floorBefore) / seconds];
  const percent = (share) => `${(100 * share).toFixed(0)} % of a core`;
  check("the browser takes less than half a core", chrome < 0.5, `${percent(chrome)}, its page's main thread busy for ${(100 * thread).toFixed(0)} % of the time`);
  check("the floor takes less than half a core", server < 0.5, percent(server));
  await page.screenshot({ path: `${pictures}/hall-1008.png` });

  const times = [];
  let size = 0;
  for (let round = 0; round < 30; round += 1) {
    const asked = performance.now();
    size = (await call("GET", "/building?lang=ja")).bytes;
    times.push(performance.now() - asked);
  }
  times.sort((one, other) => one - other);
  console.log(`     the full page: ${(size / 1000).toFixed(0)} kB, p50 ${times[15].toFixed(0)} ms, longest of 30 ${times[29].toFixed(0)} ms`);

  floor.kill("SIGSTOP");
  const stopped = performance.now();
  await page.waitForSelector("#stale", { state: "visible", timeout: 20000 });
  const stale = (performance.now() - stopped) / 1000;
  floor.kill("SIGCONT");
  check("a floor that hangs is told within 5 s", stale <= 5, `${stale.toFixed(1)} s`);
} finally {
  await browser.close();
  floor.kill("SIGKILL");
}
process.exit(failed ? 1 : 0);
