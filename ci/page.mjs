// Drives the floor's pages; started by ci/page. Every check says in its name what is so if it passes.
import { spawn, spawnSync } from "node:child_process";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [browserPath, programs, pictures, work, floorFile] = process.argv.slice(2);
const children = [];
let failed = 0;
const check = (name, so, more = "") => {
  if (!so) failed += 1;
  console.log(`${so ? "ok  " : "FAIL"} ${name}${so ? "" : ` ${more}`}`);
};
const until = async (what, look, seconds = 90) => {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    const found = await look();
    if (found) return found;
    await new Promise((then) => setTimeout(then, 100));
  }
  throw new Error(`waited ${seconds} s in vain for ${what}`);
};
const floor = async (name, more) => {
  const child = spawn(`${programs}/kiln-floor`, ["serve", "--data", `${work}/${name}`, ...more], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const address = await new Promise((then) => child.stdout.once("data", (line) => then(String(line).trim().replace(/\/$/, ""))));
  return { child, address };
};
const agent = (name, more) => {
  const log = `${work}/${name}.log`;
  const child = spawn(`${programs}/kiln`, ["agent", "--once", "--sim", "hgx-h200-8", "--spool", `${work}/${name}`, ...more], {
    stdio: ["ignore", "ignore", openSync(log, "w")],
  });
  children.push(child);
  return { log, ended: new Promise((then) => child.once("exit", then)) };
};
const serialOf = (seed) => {
  const out = spawnSync(`${programs}/kiln`, ["node", "--json", "--sim", "hgx-h200-8", "--seed", seed]).stdout;
  const serial = JSON.parse(out).node.serial;
  return typeof serial === "string" ? serial : Object.values(serial)[0];
};

const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
const errors = [];
const open = async (options) => {
  const context = await browser.newContext({ locale: "ja-JP", ...options });
  const page = await context.newPage();
  page.on("console", (line) => line.type() === "error" && errors.push(`${page.url()}: ${line.text()}`));
  page.on("pageerror", (error) => errors.push(`${page.url()}: ${error}`));
  const keys = await context.newCDPSession(page);
  // As a scanner sends it: physical keys with Shift for capitals; with an input method on, the browser sees `Process`.
  const key = async (code, key, virtual, modifiers) => {
    const event = { code, key, windowsVirtualKeyCode: virtual, modifiers };
    await keys.send("Input.dispatchKeyEvent", { type: "rawKeyDown", ...event });
    await keys.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  };
  const scan = async (text, { ime = false, slow = false } = {}) => {
    await key("F9", "F9", 120, 0);
    for (const sign of text) {
      const upper = /[A-Z]/.test(sign);
      const code = /[A-Za-z]/.test(sign) ? `Key${sign.toUpperCase()}` : /[0-9]/.test(sign) ? `Digit${sign}` : "Minus";
      if (slow) await page.waitForTimeout(140);
      await key(code, ime ? "Process" : sign, ime ? 229 : sign.toUpperCase().charCodeAt(0), upper ? 8 : 0);
    }
    await key("Enter", ime ? "Process" : "Enter", ime ? 229 : 13, 0);
  };
  const picture = (name) => page.screenshot({ path: `${pictures}/${name}.png`, fullPage: false });
  return { page, scan, picture, keys };
};
// Whether a page fits from side to side on a wide tablet, on one held upright, and in a window of half a screen.
const fits = async (page, what) => {
  const before = page.viewportSize();
  for (const width of [1024, 768, 640]) {
    await page.setViewportSize({ width, height: 900 });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    check(`${what} fits into ${width} points`, over <= 0, `${over} too wide`);
    await page.screenshot({ path: `${pictures}/${what}-${width}.png`, fullPage: true });
  }
  await page.setViewportSize(before);
};
// To an element by Tab alone; how many steps it took, or nothing.
const tabTo = async (page, selector) => {
  for (let steps = 1; steps < 80; steps += 1) {
    await page.keyboard.press("Tab");
    const there = await page.evaluate((selector) => document.activeElement?.matches(selector), selector);
    if (there) return steps;
  }
  return undefined;
};

try {
  const smoke = await floor("smoke", ["--listen", "127.0.0.1:0", "--profile", "smoke"]);
  const at = (path) => smoke.address + path;
  const desk = await open({ viewport: { width: 1024, height: 768 } });
  await desk.page.goto(at("/?lang=ja"));

  // Scanner: wherever the focus is, whatever the input method does.
  for (const [focus, options] of [
    ["input[name=serial]", {}],
    ["input[name=by]", { ime: true }],
    ["button", { ime: true, slow: true }],
    ["a", {}],
  ]) {
    await desk.page.goto(at("/?lang=ja"));
    await desk.page.focus(focus);
    await desk.scan("SGH1234-5a", options);
    const got = await desk.page.inputValue("input[name=serial]");
    check(`a scan with the focus on ${focus} (${JSON.stringify(options)}) is read whole`, got === "SGH1234-5a", got);
    const where = await desk.page.evaluate(() => document.activeElement.name);
    check("after it the cursor is where something is missing", where === "by", where);
  }
  await desk.page.keyboard.type("sato");
  await desk.page.keyboard.press("Enter");
  await desk.page.waitForURL(/units\/SGH1234-5a/);
  check("keyboard alone registers a unit", true);
  await desk.page.goto(at("/?lang=ja"));
  await desk.page.focus("input[name=serial]");
  await desk.page.keyboard.type("SLOW1", { delay: 120 });
  check("what a person types slowly is no scan", (await desk.page.inputValue("input[name=serial]")) === "SLOW1");
  await desk.page.keyboard.press("F9");
  check("a scan that is going on is shown", await desk.page.isVisible("#scanning"));
  await desk.page.keyboard.press("Escape");
  check("Escape gives it up", !(await desk.page.isVisible("#scanning")));

  // A unit that fails: the part, drawn; work with both parts scanned.
  const bad = serialOf("3");
  await desk.page.fill("input[name=serial]", bad);
  await desk.page.fill("input[name=by]", "sato");
  await desk.page.keyboard.press("Enter");
  await desk.page.waitForURL(/units\//);
  const faulty = agent("faulty", ["--floor", smoke.address, "--seed", "3", "--fault", "pcie-width-down@gpu/3"]);
  await faulty.ended;
  await desk.page.goto(at(`/units/${bad}?lang=ja`));
  check("the word is large", (await desk.page.textContent(".big")).includes("不合格"));
  const seen = await desk.page.evaluate(() => [".big", "ol.drawn", "main table, table"].map((part) => document.querySelector(part).getBoundingClientRect().bottom));
  check("word, part in its slot and what to do stand in one screen", seen.every((bottom) => bottom <= 768), seen.join(", "));
  check("the part is drawn in its place", (await desk.page.locator("ol.drawn li.fail").innerText()).includes("gpu/3"));
  await desk.picture("tablet-fail");
  await desk.page.setViewportSize({ width: 1024, height: 2000 });
  await desk.picture("tablet-fail-whole");
  await desk.page.setViewportSize({ width: 1024, height: 768 });
  check("the rework form is reached by Tab", (await tabTo(desk.page, "form[action*=rework] input[name=what]")) !== undefined);
  await desk.page.keyboard.type("gpu/3");
  await desk.page.focus("form[action*=rework] input[name=removed]");
  await desk.scan("WRONGPART1");
  await desk.page.fill("form[action*=rework] input[name=by]", "sato");
  await desk.page.focus("form[action*=rework] button");
  await desk.page.keyboard.press("Enter");
  await desk.page.waitForURL(/told=/);
  check("a part that was not named is not taken", (await desk.page.textContent(".told:not([hidden])")).includes("WRONGPART1"));

  // A unit that meets every limit and lies apart from its lot: what the operator does, and what takes two people.
  const place = { profile: "smoke revision 1", chassis: "HGX H200 8-GPU server", model: "NVIDIA H200", place: "slot 1", value: "load.gemm.clock.mean" };
  const average = { unit: "MHz", units: 30, median: 1500, sigma: 2 };
  const lot = { schema: "kiln.lot/1", simulated: true, units: 30, runs: [], budget_percent: 2, sigmas: 4.15, averages: [[place, average]] };
  writeFileSync(`${work}/lot.json`, JSON.stringify(lot));
  const apart = serialOf("5");
  await desk.page.goto(at("/?lang=ja"));
  await desk.page.fill("input[name=serial]", apart);
  await desk.page.fill("input[name=by]", "sato");
  await desk.page.keyboard.press("Enter");
  await desk.page.waitForURL(/units\//);
  await agent("apart", ["--floor", smoke.address, "--seed", "5", "--lot", `${work}/lot.json`]).ended;
  await desk.page.goto(at(`/units/${apart}?lang=ja`));
  check("its part is drawn as one in doubt, not as a bad one",
    (await desk.page.locator("ol.drawn li.unsure").innerText()).includes("△ gpu/") && (await desk.page.locator("ol.drawn li.fail").count()) === 0);
  check("an outlier is held", (await desk.page.textContent(".big")).includes("保留"));
  check("and is not to be repaired", (await desk.page.locator("option[value=repair]").count()) === 0);
  await desk.picture("tablet-held");
  // A unit of which nothing can be said: the word, and that a person is needed.
  const mute = serialOf("7");
  await desk.page.goto(at("/?lang=ja"));
  await desk.page.fill("input[name=serial]", mute);
  await desk.page.fill("input[name=by]", "sato");
  await desk.page.keyboard.press("Enter");
  await desk.page.waitForURL(/units\//);
  await agent("mute", ["--floor", smoke.address, "--seed", "7", "--fault", "driver-slow"]).ended;
  await desk.page.goto(at(`/units/${mute}?lang=ja`));
  check("a unit of which nothing can be said is neither good nor bad", (await desk.page.textContent(".big")).includes("判定不能"));
  await desk.picture("tablet-undecided");
  for (const [path, what] of [["/", "list"], [`/units/${apart}`, "held"], [`/units/${bad}`, "failed"], ["/doors", "doors"], ["/building", "few"]]) {
    await desk.page.goto(at(`${path}?lang=ja`));
    await fits(desk.page, what);
    const first = await desk.page.evaluate(() => document.body.firstElementChild.id);
    check(`what may be old is said first on ${what}`, first === "stale", first);
  }
  await desk.page.goto(at(`/units/${apart}?lang=en`));
  await fits(desk.page, "held-en");
  await desk.page.goto(at(`/units/${bad}?lang=ja`));

  // Silence.
  smoke.child.kill("SIGSTOP");
  const began = Date.now();
  await desk.page.waitForSelector("#stale:not([hidden])", { timeout: 15000 });
  const took = (Date.now() - began) / 1000;
  check(`a silent floor is told within 5 s (${took.toFixed(1)} s)`, took <= 5);
  await desk.picture("tablet-stale");
  smoke.child.kill("SIGCONT");
  await desk.page.waitForSelector("#stale[hidden]", { state: "attached", timeout: 15000 });
  check("and that it is back as well", true);

  // The building on a big screen, by day, by night and without colour.
  const hall = await floor("hall", ["--listen", "127.0.0.1:0", "--floor", floorFile]);
  const big = await open({ viewport: { width: 1920, height: 1080 } });
  await big.page.goto(`${hall.address}/?lang=ja`);
  const slots = ["r01-01", "r01-02", "r02-03", "r02-04"];
  for (const [index, slot] of slots.entries()) {
    await big.page.fill("input[name=serial]", `SRV${index}`);
    await big.page.fill("input[name=by]", "sato");
    await big.page.fill("input[name=slot]", slot);
    await big.page.keyboard.press("Enter");
    await big.page.waitForURL(/units\/|told=/);
    await big.page.goto(`${hall.address}/?lang=ja`);
  }
  await big.page.goto(`${hall.address}/building?lang=ja`);
  await until("the tiles", async () => (await big.page.locator(".tile.wait, .tile.unsure").count()) > 0);
  await big.picture("building-1920");
  await big.page.emulateMedia({ colorScheme: "dark" });
  await big.picture("building-dark");
  await big.keys.send("Emulation.setEmulatedVisionDeficiency", { type: "achromatopsia" });
  await big.picture("building-no-colour");
  await big.keys.send("Emulation.setEmulatedVisionDeficiency", { type: "none" });
  await desk.page.emulateMedia({ colorScheme: "dark" });
  await desk.page.goto(at(`/units/${bad}?lang=en`));
  await desk.picture("tablet-dark");
  await big.page.goto(`${hall.address}/doors?lang=ja`);
  await big.picture("doors-dark");

  // A node that hangs: an open rack says by itself that a person decides, and an open building how many do.
  const file = readFileSync(floorFile, "utf8").replace("slots: 6, power: row-1,", 'slots: 6, power: row-1, bmc: { "03": bmc.r01-03 },');
  writeFileSync(`${work}/cycles.yaml`, `${file}power-cycle: { program: "true {bmc}", after: 10s }\n`);
  const cycles = await floor("cycles", ["--listen", "127.0.0.1:0", "--floor", `${work}/cycles.yaml`]);
  await desk.page.emulateMedia({ colorScheme: "light" });
  for (const [serial, slot] of [["SRV1", "r01-03"], ["SRV2", "r01-05"]]) {
    await desk.page.goto(`${cycles.address}/?lang=ja`);
    for (const [field, value] of [["serial", serial], ["by", "sato"], ["slot", slot]]) await desk.page.fill(`input[name=${field}]`, value);
    await desk.page.keyboard.press("Enter");
    await desk.page.waitForURL(/units\/|told=/);
  }
  const call = { wire: "kiln.wire/1.2", agent: "agent-1", boot: "boot-1", serial: "SRV1", doing: "idle", generation: null, spool: [], heard: null };
  await fetch(`${cycles.address}/v1/sync`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(call) });
  await big.page.emulateMedia({ colorScheme: "light" });
  await big.page.goto(`${cycles.address}/building?lang=ja`);
  await desk.page.goto(`${cycles.address}/racks/r01?lang=ja`);
  check("a rack asks for nothing while its node speaks", !(await desk.page.textContent("main")).includes("電源を入れ直すかどうか"));
  const asks = async () => (await desk.page.textContent("main")).includes("電源を入れ直すかどうかを、ユニットの画面で決めてください。");
  check("an open rack says by itself that a power cycle waits for a person", await until("the question", asks, 40));
  const counts = async () => (await big.page.textContent("#sums")).includes("電源の入れ直しの判断待ち 1");
  check("an open building counts it", await until("the count", counts, 10));
  await big.picture("building-cycles");
  await fits(desk.page, "rack-cycles");
  await desk.page.goto(`${cycles.address}/building?lang=ja`);
  await fits(desk.page, "building-cycles");
  await desk.page.goto(`${cycles.address}/racks/r01?lang=en`);
  await fits(desk.page, "rack-cycles-en");

  // TLS: log in by badge, approve a machine, release its unit, log out; by keyboard alone.
  const person = (name, role) =>
    spawnSync(`${programs}/kiln-floor`, ["person", "add", "--data", `${work}/secure`, "--name", name, "--badge", `B-${name}`, "--role", role], { input: "493817\n" });
  person("sato", "admin");
  const secure = await floor("secure", ["--listen", "127.0.0.1:0", "--tls"]);
  const shift = await open({ viewport: { width: 1024, height: 768 }, ignoreHTTPSErrors: true });
  await shift.page.goto(`${secure.address}/?lang=ja`);
  check("nobody sees a page before logging in", shift.page.url().includes("/login"));
  await shift.picture("login");
  await shift.scan("B-sato");
  await shift.page.keyboard.type("493817");
  await shift.page.keyboard.press("Enter");
  await shift.page.waitForURL((url) => url.pathname === "/");
  const good = serialOf("1");
  await shift.scan(good);
  await shift.page.waitForURL(/units\//);
  check("a scan alone registers a unit for who has logged in", shift.page.url().includes(good));
  const machine = agent("machine", ["--floor", secure.address, "--ca", `${work}/secure/keys/ca.pem`]);
  const code = await until("the code", async () => /compare the code (\d{6})/.exec(readFileSync(machine.log, "utf8"))?.[1]);
  await shift.page.goto(`${secure.address}/doors?lang=ja`);
  await shift.picture("doors-waiting");
  check("the code's field is reached by Tab", (await tabTo(shift.page, "form[action*=approve] input[name=why]")) !== undefined);
  await shift.page.keyboard.type(code);
  await shift.page.keyboard.press("Enter");
  await shift.page.waitForURL(/doors/);
  await machine.ended;
  await shift.page.goto(`${secure.address}/units/${good}?lang=ja`);
  check("its unit is released", (await shift.page.textContent(".big")).includes("合格"));
  await shift.picture("tablet-pass");
  check("the console tells of no error", errors.length === 0, errors.join("\n"));
} catch (error) {
  check("the pages were driven to the end", false, error.stack);
} finally {
  await browser.close();
  for (const child of children) child.kill("SIGKILL");
}
console.log(failed === 0 ? "all as it should be" : `${failed} checks failed`);
process.exitCode = failed === 0 ? 0 : 1;
