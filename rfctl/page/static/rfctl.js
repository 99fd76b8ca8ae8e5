/* The page of rfctl: shows one Overview (rfctl/observe/overview.py), keeps it live, and asks before it acts.

   Nothing here is built or fetched from elsewhere. Text that people sent is untrusted: it goes through `clean`, and into
   the page as text alone. Each list is patched row by row, so that focus, selection and scroll stay where they are. */
"use strict";

const byId = (id) => document.getElementById(id);
const SVG_SIGNS = ["ok", "warn", "fail", "paused", "idle"];


/* ---- Theme: auto, light or dark. It is set before the page is painted. ---- */

const THEMES = ["auto", "light", "dark"];

/** Return what this browser keeps under a name; storage may be forbidden. */
function recall(name, otherwise) {
  try { return localStorage.getItem(`rfctl.${name}`) ?? otherwise; } catch { return otherwise; }
}

function keep(name, value) {
  try { localStorage.setItem(`rfctl.${name}`, value); } catch { /* it lasts until the page is closed */ }
}

function applyTheme(theme) {
  document.documentElement.dataset.theme = THEMES.includes(theme) ? theme : "auto";
}

applyTheme(recall("theme", "auto"));


/* ---- Words: numbers, times, and text of strangers ---- */

const NUMBER = new Intl.NumberFormat("en-US");
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });
const NOT_KNOWN = "–";

const count = (number) => (number == null ? NOT_KNOWN : NUMBER.format(number));
const counted = (number, noun, plural = `${noun}s`) => `${count(number)} ${number === 1 ? noun : plural}`;

/** Return a time in ms as a person says it: 3 ms, 4.1 s, 1 min 20 s, 3 h, 2 d. */
function duration(ms) {
  if (ms == null) return NOT_KNOWN;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  if (minutes < 120) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`;
}

/** Return a clock's time, with the day before it unless that is today. */
function clock(ms) {
  const moment = new Date(ms);
  const isToday = moment.toDateString() === new Date().toDateString();
  return isToday ? CLOCK.format(moment) : `${moment.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${CLOCK.format(moment)}`;
}

/* That of rfctl/text.py, but for the joiners: a browser joins an emoji of several parts. */
const ACTIVE = /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\u{13430}-\u{1345f}\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;

/** Return a text with every control, bidi mark and sign that nobody sees written out, as `rfctl` does on a terminal. */
function clean(text) {
  return String(text ?? "").replace(ACTIVE, (char) => (char === "\n" || char === "\t" ? " " : writeOut(char.codePointAt(0))));
}

const writeOut = (code) => (code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`);

const CODES_OF_TWO = /^(2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])/;
let showsWholeNumbers = false;

/** Return a phone as the page shows it: whole, or with its middle hidden (+7 900 •••67). The rule is that of `show_phone` in rfctl/text.py. */
function phoneWords(phone) {
  const text = clean(phone);
  const isNumber = /^\+?\d{9,15}$/.test(text);
  if (showsWholeNumbers) return isNumber && text[0] !== "+" ? `+${text}` : text;
  if (!isNumber) {
    const chars = [...text]; // an emoji is never cut in two
    return chars.length <= 7 ? `${chars.slice(0, 1).join("")}•••` : `${chars.slice(0, Math.min(5, chars.length - 6)).join("")}•••${chars.slice(-2).join("")}`;
  }
  const digits = text.replace("+", "");
  const codeLength = /^[17]/.test(digits) ? 1 : CODES_OF_TWO.test(digits) ? 2 : 3;
  const head = Math.min(Math.max(4, codeLength + 2), digits.length - 6);
  return [`+${digits.slice(0, codeLength)}`, digits.slice(codeLength, head), `•••${digits.slice(-2)}`].filter(Boolean).join(" ");
}


/* ---- The document: small steps that write only what changed ---- */

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setSign(svg, state) {
  const name = SVG_SIGNS.includes(state) ? state : "idle";
  if (svg.dataset.state === name) return;
  svg.dataset.state = name;
  svg.querySelector("use").setAttribute("href", `#sign-${name}`);
}

/** Show a moment: what `words` say, with the whole date in its title. */
function setTime(node, ms, words) {
  const iso = new Date(ms).toISOString();
  if (node.dateTime !== iso) { node.dateTime = iso; node.title = MOMENT.format(ms); }
  setText(node, words);
}

const copyTemplate = (id) => byId(id).content.firstElementChild.cloneNode(true);
const part = (node, name) => node.querySelector(`[data-part="${name}"]`);

/** Say whether somebody is in here, by keyboard or with a selection: such a row is never moved or taken away. */
function isInUse(node) {
  const selection = getSelection();
  return Boolean(node.querySelector(":focus-visible")) || (!selection.isCollapsed && selection.containsNode(node, true));
}

/** The heading of the section that something is in: the focus goes there when its own place is gone. */
const headingOf = (node) => (node.closest("section") ?? byId("waiting-title").closest("section")).querySelector("h2");

/** Make a list show these items, in this order. A row is found again by its key, and only what changed is written. */
function patchList(list, items, keyOf, template, fill) {
  const rows = list.rows ??= new Map();
  const wanted = new Map(items.map((item) => [keyOf(item), item]));
  for (const [key, row] of rows) {
    if (wanted.has(key)) continue;
    row.toggleAttribute("data-gone", isInUse(row));
    if (!row.hasAttribute("data-gone")) { row.remove(); rows.delete(key); }
  }
  let place = list.firstElementChild;
  for (const [key, item] of wanted) {
    while (place?.hasAttribute("data-gone")) place = place.nextElementSibling;
    let row = rows.get(key);
    if (!row) { row = copyTemplate(template); rows.set(key, row); }
    row.removeAttribute("data-gone");
    if (row !== place) {
      if (row.isConnected && isInUse(row)) { // the others go around it
        while (place !== row) { const next = place.nextElementSibling; list.append(place); place = next; }
      } else { list.insertBefore(row, place); }
    }
    if (row === place) place = row.nextElementSibling;
    fill(row, item);
  }
}

/** Make these buttons, each [its place, words, what it is about, action]. A button that is there keeps its focus. */
function patchButtons(box, buttons) {
  const wanted = new Map(page.mayAct ? buttons.map((button) => [button[0], button]) : []);
  for (const button of [...box.children]) {
    if (wanted.has(button.dataset.name)) continue;
    if (button === document.activeElement) headingOf(box).focus({ preventScroll: true });
    button.remove();
  }
  for (const [name, words, about, act] of wanted.values()) {
    let button = [...box.children].find((child) => child.dataset.name === name);
    if (!button) {
      button = document.createElement("button");
      button.type = "button";
      button.dataset.name = name;
      button.append(document.createTextNode(words), Object.assign(document.createElement("span"), { className: "unseen" }));
      button.setAttribute("aria-haspopup", "dialog");
      button.addEventListener("click", () => button.act());
      box.append(button);
    }
    setText(button.lastChild, ` ${about}`);
    if (button.firstChild.data !== words) button.firstChild.data = words;
    button.act = act;
  }
}

/** Say to whoever listens to the page what came of something they did, or that something is new. */
const announce = (words) => sayIn(byId("heard"), words);
const announceNews = (words) => sayIn(byId("news"), words);

/** Let the same words twice be heard twice: a reader says what changes. */
const sayIn = (node, words) => setText(node, words && node.textContent === words ? `${words}\u00a0` : words);

let toastTimer = 0;

/** Show the result of an action until it is closed; good news goes by itself. */
function toast(words, state = "ok") {
  setText(byId("toast-words"), clean(words));
  setSign(byId("toast").querySelector(".sign"), state);
  byId("toast").dataset.state = state;
  byId("toast").hidden = false;
  announce(clean(words));
  clearTimeout(toastTimer);
  if (state === "ok") toastTimer = setTimeout(() => { byId("toast").hidden = true; }, 15_000);
}


/* ---- The page's own state ---- */

const page = {
  overview: null,     // the last one that came
  cameAt: 0,          // when, by performance.now()
  mayAct: false,
  csrf: "",
  outage: null,       // {fact, since_ms} while Redis is away
  isLost: false,      // no connection to rfctl
};

/** How long ago the last Overview came, ms. */
const age = () => performance.now() - page.cameAt;


/* ---- Sections, from top to bottom ---- */

function render() {
  const overview = page.overview;
  renderHead(overview);
  renderFlow(overview.flow);
  renderFindings(overview);
  renderWaiting(overview.waiting);
  renderSinks(overview);
  renderLast(overview.last);
  refreshDialog();
  tick();
}

function renderHead(overview) {
  byId("state").dataset.state = overview.state;
  setSign(byId("state").firstElementChild, overview.state);
  setText(byId("word"), overview.word);
  setText(byId("daemons-line"), clean(overview.daemons_line));
  setText(byId("redis-line"), clean(overview.redis_line));
  const lines = overview.daemons.map((daemon) => [
    `${daemon.host} ${daemon.pid}`, daemon.version, daemon.role, daemon.listener, `last turn ${duration(daemon.turned_ago_ms)} ago`,
  ].filter(Boolean).map(clean).join(" · "));
  while (byId("daemon-list").children.length > lines.length) byId("daemon-list").lastChild.remove();
  lines.forEach((line, place) => setText(byId("daemon-list").children[place] ?? byId("daemon-list").appendChild(document.createElement("li")), line));
  byId("read-only").hidden = page.mayAct;
  renderTitle();
}

function renderTitle() {
  const state = page.isLost ? "connection lost" : page.outage ? "Redis away" : document.hidden ? "not live" : page.overview?.word.toLowerCase();
  document.title = state ? `rfctl · ${state}` : "rfctl";
}

/** Write a number with its unit: the unit is small. */
function setMeasure(id, ...parts) {
  const node = byId(id), words = parts.flat().join("");
  if (node.textContent === words) return;
  node.replaceChildren(...parts.map((piece) => (Array.isArray(piece) ? Object.assign(document.createElement("small"), { textContent: piece[0] }) : piece)));
}

function renderFlow(flow) {
  const rate = (number) => (number == null ? [NOT_KNOWN] : [count(number), ["/min"]]);
  setMeasure("in-rate", ...rate(flow.in_per_min));
  setMeasure("out-rate", ...rate(flow.out_per_min));
  renderSpark(byId("ins"), flow.ins, "messages in");
  renderSpark(byId("outs"), flow.outs, "merged messages out");
  setMeasure("ratio", flow.ratio == null ? NOT_KNOWN : `${flow.ratio.toFixed(1)} → 1`);
  setMeasure("wait", ...(flow.wait_p50_ms == null ? [NOT_KNOWN] : [["p50 "], duration(flow.wait_p50_ms), [" p95 "], duration(flow.wait_p95_ms)]));
  setMeasure("late", ...(flow.late_p99_ms == null ? [NOT_KNOWN] : [["p99 "], duration(flow.late_p99_ms)]));
  for (const name of ["missing", "dead", "quarantine"]) {
    setMeasure(name, count(flow[name]));
    const state = flow[name] > 0 ? (name === "missing" ? "fail" : "warn") : "";
    byId(name).dataset.state = state;
    byId(name).previousElementSibling.toggleAttribute("hidden", !state);
    byId(name).previousElementSibling.dataset.state = state;
  }
}

/** Draw counts of whole minutes, oldest first, and say them in words. */
function renderSpark(svg, counts, what) {
  const top = Math.max(...counts, 1), step = 100 / Math.max(counts.length - 1, 1);
  const points = counts.map((number, place) => `${(place * step).toFixed(1)} ${(28 - (26 * number) / top).toFixed(1)}`);
  const isDrawn = points.length > 1;
  const [area, line] = svg.children;
  svg.toggleAttribute("data-empty", !isDrawn);
  line.setAttribute("d", isDrawn ? `M${points.join("L")}` : "");
  area.setAttribute("d", isDrawn ? `M0 30L${points.join("L")}L100 30Z` : "");
  const words = isDrawn
    ? `${what} in each of the last ${counts.length} minutes: from ${count(Math.min(...counts))} to ${count(Math.max(...counts))}, ${count(counts.at(-1))} in the last`
    : "no counts yet";
  if (svg.getAttribute("aria-label") !== words) svg.setAttribute("aria-label", words);
}

const findingKey = (finding) => `${finding.code} ${finding.subject} ${finding.set_by}`;

const MOST_FINDINGS = 100, MOST_HEARD = 3;
let knownFindings = null; // their keys, once there was an Overview

function renderFindings({ findings, sinks }) {
  const before = knownFindings;
  knownFindings = new Set(findings.map(findingKey));
  patchList(byId("findings"), distinct(findings.slice(0, MOST_FINDINGS), findingKey), ({ key }) => key, "finding-row", (row, { item: finding }) => {
    const isError = finding.severity === "error";
    setSign(row.firstElementChild, isError ? "fail" : "warn");
    row.dataset.state = isError ? "fail" : "warn";
    setText(row.querySelector(".severity"), isError ? "FAIL" : "warn");
    setText(part(row, "fact"), clean(finding.fact));
    setText(part(row, "code"), finding.code);
    row.querySelector(".set-by").hidden = !finding.set_by;
    setText(part(row, "set_by"), clean(finding.set_by));
    renderCure(part(row, "cure"), clean(finding.fix));
    patchButtons(row.querySelector(".buttons"), actionsOfFinding(finding, sinks));
  });
  setText(byId("needs-count"), findings.length ? count(findings.length) : "");
  byId("needs-empty").hidden = findings.length > 0;
  const beyond = Math.max(0, findings.length - MOST_FINDINGS);
  byId("needs-more").hidden = !beyond;
  setText(byId("needs-more"), beyond ? `… ${count(beyond)} more: rfctl stats has all of them` : "");
  if (!before) return;
  const fresh = findings.filter((finding) => !before.has(findingKey(finding)));
  const facts = fresh.slice(0, MOST_HEARD).map((finding) => `${finding.severity === "error" ? "FAIL" : "warn"} ${clean(finding.fact)}`);
  if (fresh.length > MOST_HEARD) facts.push(`And ${count(fresh.length - MOST_HEARD)} more`);
  if (fresh.length) announceNews(`Needs you: ${facts.join(". ")}`);
  else if (before.size && !findings.length) announceNews("Nothing needs you any more.");
}

/** Return each item with a key that no other has: the second of the same gets a number. */
function distinct(items, keyOf) {
  const times = new Map();
  return items.map((item) => {
    const key = keyOf(item), time = (times.get(key) ?? 0) + 1;
    times.set(key, time);
    return { key: time === 1 ? key : `${key} ${time}`, item };
  });
}

const COMMAND = /`([^`]+)`|\b(?:rfctl [a-z]|systemctl [a-z]|redis-cli |kill -)[^;,()`]*/g;
const END_OF_COMMAND = /\s+(?:retries|stops|shows|says|takes|uses|lists|prints|tells|again|then|and|or|with|where|when|to|it|them)\b.*$/;

/** Return what to do as pieces of {text, isCommand}: a command is in backquotes, or ends where the sentence goes on. */
function splitCure(fix) {
  const pieces = [];
  let end = 0;
  for (const match of fix.matchAll(COMMAND)) {
    const command = match[1] ?? match[0].replace(END_OF_COMMAND, "").trimEnd();
    if (match.index > end) pieces.push({ text: fix.slice(end, match.index), isCommand: false });
    pieces.push({ text: command, isCommand: true });
    end = match.index + (match[1] ? match[0] : command).length;
  }
  if (end < fix.length) pieces.push({ text: fix.slice(end), isCommand: false });
  return pieces;
}

function renderCure(node, fix) {
  if (node.dataset.fix === fix) return;
  node.dataset.fix = fix;
  node.replaceChildren(...splitCure(fix).flatMap(({ text, isCommand }) => {
    if (!isCommand) return [text];
    const code = Object.assign(document.createElement("code"), { textContent: text });
    const button = Object.assign(document.createElement("button"), { type: "button", className: "copy", textContent: "Copy" });
    button.setAttribute("aria-label", `Copy the command ${text}`);
    button.addEventListener("click", () => copy(code, text));
    const command = Object.assign(document.createElement("span"), { className: "command" });
    command.append(code, button);
    return [command];
  }));
}

/** Put a command on the clipboard. Over plain HTTP a browser has none for us: then it is selected, to be copied. */
async function copy(code, text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`Copied: ${text}`);
  } catch {
    getSelection().selectAllChildren(code);
    toast(document.execCommand("copy") ? `Copied: ${text}` : `It is selected, copy it with your keyboard: ${text}`);
  }
}

function actionsOfFinding({ code, subject }, sinks) {
  if (code === "dead_letters") return sinks.filter((sink) => sink.dead).map((sink) => [`resend ${sink.name}`, `Resend ${clean(sink.name)}`, `, ${counted(sink.dead, "dead message")}`, () => ask("resend", { sink: sink.name })]);
  const sink = sinks.find(({ name }) => name === subject);
  if (code === "sink_paused" && sink) return [["resume", "Resume", subject, () => ask("resume", { sink: subject })]];
  if (code === "sink_failing" && sink) return [["resume", "Retry now", subject, () => ask("resume", { sink: subject })]];
  return [];
}

function renderWaiting(waiting) {
  patchList(byId("waiting"), waiting.rows, (row) => row.batch_key, "waiting-row", fillWaiting);
  const facts = [];
  if (waiting.batches) facts.push(counted(waiting.batches, "batch", "batches"), counted(waiting.messages, "message"));
  if (waiting.batches && waiting.oldest_ms != null) facts.push(`oldest ${duration(waiting.oldest_ms)}`);
  if (waiting.overdue) facts.push(`${count(waiting.overdue)} overdue`);
  if (waiting.held) facts.push(`${count(waiting.held)} held`);
  setText(byId("waiting-count"), facts.join(" · "));
  byId("waiting-empty").hidden = waiting.batches > 0 || waiting.rows.length > 0;
  byId("waiting-more").hidden = !waiting.beyond;
  setText(byId("waiting-more"), waiting.beyond ? `… ${count(waiting.beyond)} more` : "");
}

function fillWaiting(row, batch) {
  row.batch = batch;
  row.cameAt = page.cameAt;
  row.wholeMs = batch.fraction < 1 ? batch.due_in_ms / (1 - batch.fraction) : 0;
  row.classList.toggle("held", batch.is_held);
  part(row, "held").hidden = !batch.is_held;
  setText(part(row, "phone"), phoneWords(batch.phone));
  setText(part(row, "where"), [batch.source, batch.account, batch.chat && `in ${batch.chat}`].filter(Boolean).map(clean).join(" · "));
  setText(part(row, "size"), batch.max_size == null ? counted(batch.size, "message") : `${count(batch.size)}/${count(batch.max_size)} messages`);
  setText(part(row, "text"), clean(batch.text));
  const who = phoneWords(batch.phone);
  patchButtons(row.querySelector(".buttons"), [
    ...(batch.is_held ? [] : [["hand-over", "Hand over", who, () => ask("hand-over", batch)]]), // rfctl would refuse it
    ["discard", "Discard", who, () => ask("discard", batch)],
    batch.is_held ? ["hold", "Release", who, () => ask("release", batch)] : ["hold", "Hold", who, () => ask("hold", batch)],
  ]);
}

/** Let the times of the rows go on between two Overviews. While nothing comes they stand still: nobody knows. */
function tick() {
  if (page.outage || page.isLost || !page.overview) return renderAges();
  for (const row of byId("waiting").children) {
    const dueMs = row.batch.due_in_ms - (performance.now() - row.cameAt);
    const passed = row.wholeMs > 0 ? Math.min(1, Math.max(0, 1 - dueMs / row.wholeMs)) : 1;
    row.querySelector(".bar > span").style.setProperty("transform", `scaleX(${passed.toFixed(3)})`);
    const isLate = dueMs < -LATE_MS && !row.batch.is_held;
    row.classList.toggle("overdue", isLate);
    part(row, "late").toggleAttribute("hidden", !isLate);
    setText(part(row, "due"), row.hasAttribute("data-gone") ? "gone" : dueWords(dueMs, isLate));
  }
}

const LATE_MS = 2000; // until then a batch is on its way: its hand-over is not on the page yet

function dueWords(dueMs, isLate) {
  if (isLate) return `late ${duration(-dueMs)}`;
  return dueMs < 50 ? "now" : dueMs < 9950 ? `${(dueMs / 1000).toFixed(1)} s` : duration(dueMs);
}

const STATE_WORDS = { ok: "ok", warn: "warning", fail: "failing", paused: "paused", idle: "idle" };

function renderSinks({ sinks, workers }) {
  const rows = [
    ...sinks.map((sink) => ({ ...sink, key: `sink ${sink.name}` })),
    ...workers.map((worker) => ({ ...worker, key: `group ${worker.group}`, name: worker.group, type: "workers", isGroup: true })),
  ];
  patchList(byId("sinks"), rows, ({ key }) => key, "sink-row", fillSink);
  setText(byId("sinks-count"), rows.length ? count(rows.length) : "");
  byId("sinks-empty").hidden = rows.length > 0;
}

function fillSink(row, sink) {
  setSign(row.firstElementChild, sink.state);
  row.dataset.state = sink.state;
  setText(part(row, "name"), clean(sink.name));
  setText(part(row, "type"), clean(sink.type));
  setText(part(row, "state"), STATE_WORDS[sink.state] ?? sink.state);
  const measures = [];
  if (sink.per_min != null) measures.push(`${count(sink.per_min)}/min`);
  if (sink.ok_share != null) measures.push(`ok ${(Math.floor(sink.ok_share * 1000) / 10).toFixed(sink.ok_share < 1 && sink.ok_share > 0.9 ? 1 : 0)} %`);
  if (sink.p95_ms != null) measures.push(`p95 ${duration(sink.p95_ms)}`);
  if (sink.left != null) measures.push(`${count(sink.left)} left`);
  if (sink.dead && !sink.isGroup) measures.push(`${count(sink.dead)} dead`); // a group says it in its words
  const isWell = sink.state === "ok" && /^ok\b/.test(sink.words);
  if (isWell) measures.push(clean(sink.words).replace(/^ok(, )?/, "")); // "ok, daemon 812": who delivers
  setText(part(row, "measures"), measures.filter(Boolean).join(" · "));
  const next = sink.next_try_in_ms == null || sink.is_paused ? "" : `next try in ${duration(Math.max(0, sink.next_try_in_ms))}`;
  const words = [isWell ? "" : clean(sink.words), sink.words?.includes("next") ? "" : next].filter(Boolean).join(" · ");
  setText(part(row, "words"), words);
  part(row, "words").hidden = !words;
  const buttons = [];
  if (!sink.isGroup && sink.is_forwarded !== false) {
    if (sink.is_paused) buttons.push(["pause", "Resume", sink.name, () => ask("resume", { sink: sink.name })]);
    else {
      if (sink.state === "fail") buttons.push(["retry", "Retry now", sink.name, () => ask("resume", { sink: sink.name })]);
      buttons.push(["pause", "Pause", sink.name, () => ask("pause", { sink: sink.name })]);
    }
    if (sink.dead) buttons.push(["resend", `Resend ${count(sink.dead)}`, `dead of ${sink.name}`, () => ask("resend", { sink: sink.name })]);
  }
  patchButtons(row.querySelector(".buttons"), buttons);
}

const LAST_ROWS = 14; // it is a glance: rfctl tail has all of it
const KINDS = { in: ["in", "→"], out: ["out", "⇒"], delivered: ["delivered", "✓"], dead: ["dead", "✕"], missing: ["missing", "✕"], dropped: ["dropped", "–"] };

function renderLast(last) {
  const lines = distinct(last.slice(0, LAST_ROWS), (line) => `${line.at_ms} ${line.kind} ${line.phone} ${line.line}`);
  patchList(byId("last"), lines, ({ key }) => key, "last-row", (row, { item }) => {
    setTime(row.firstElementChild, item.at_ms, clock(item.at_ms));
    const [words, sign] = KINDS[item.kind] ?? [item.kind, "·"];
    row.dataset.kind = item.kind;
    setText(row.querySelector(".kind").firstChild, sign);
    setText(row.querySelector(".kind").lastChild, ` ${words}`);
    row.querySelector(".kind").title = words;
    setText(row.querySelector(".line"), [item.phone ? phoneWords(item.phone) : "", clean(item.line)].filter(Boolean).join("  "));
  });
  byId("last-empty").hidden = last.length > 0;
}

/** Show how old all of this is, while nothing new comes. */
function renderAges() {
  const old = page.overview ? `What follows is ${duration(Math.max(1000, age()))} old.` : "";
  setText(byId("outage-age"), old);
  setText(byId("lost-age"), old);
}


/* ---- Actions: they ask first. The safe button has the focus. ---- */

const rowOf = (batch_key) => page.overview.waiting.rows.find((row) => row.batch_key === batch_key);
const sinkOf = (name) => page.overview.sinks.find((sink) => sink.name === name);
const GONE = { words: "They do not wait any more: the bot has got them meanwhile, or somebody discarded them.", isOver: true };

/** What each action asks, from what is true now; it is asked anew with each Overview while the dialog is open. */
const QUESTIONS = {
  "hand-over": ({ batch_key, phone }) => {
    const row = rowOf(batch_key), title = "Hand over now?";
    if (!row) return { title, go: "Hand over", ...GONE };
    return { title, go: "Hand over", words: `The bot gets ${counted(row.size, "message")} of ${phoneWords(phone)} now, before their time.`, body: { batch_key } };
  },
  discard: ({ batch_key, phone }) => {
    const row = rowOf(batch_key);
    if (!row) return { title: "Discard?", go: "Discard", isDanger: true, ...GONE };
    const lost = counted(row.size, "message");
    return { title: `Discard ${lost}?`, go: `Discard ${lost}`, isDanger: true, words: `${lost} of ${phoneWords(phone)} ${row.size === 1 ? "is" : "are"} lost for good. The bot never gets ${row.size === 1 ? "it" : "them"}.`, body: { batch_key } };
  },
  hold: ({ phone, batch_key }) => ({
    title: `Hold ${phoneWords(phone)}?`, go: "Hold", fields: ["for", "note"],
    words: "Somebody on your side takes over. What this person sends is kept, and goes to the bot when the hold ends.",
    body: { phone: batch_key ?? phone }, // the key of a row says which of their batches is meant
  }),
  release: ({ phone, batch_key }) => ({
    title: `Release ${phoneWords(phone)}?`, go: "Release", fields: ["discard"], lost: rowOf(batch_key)?.size,
    words: "The hold ends. What came meanwhile goes to the bot now, as one message.",
    body: { phone: batch_key ?? phone },
  }),
  pause: ({ sink }) => ({ title: `Pause ${clean(sink)}?`, go: "Pause", fields: ["note"], words: "Nothing is delivered to it until somebody resumes it. Its messages wait, none is lost.", body: { sink } }),
  resume: ({ sink }) => {
    const row = sinkOf(sink), isPaused = row?.is_paused;
    const left = row?.left ? `${counted(row.left, "message")} ${row.left === 1 ? "waits" : "wait"} for it.` : "Nothing waits for it.";
    return { title: isPaused ? `Resume ${clean(sink)}?` : `Retry ${clean(sink)} now?`, go: isPaused ? "Resume" : "Retry now", words: `${left} Delivery begins at once.`, body: { sink } };
  },
  resend: ({ sink }) => {
    const dead = counted(sinkOf(sink)?.dead ?? 0, "dead message");
    return { title: `Resend ${dead}?`, go: "Resend", words: `${clean(sink)} did not take ${sinkOf(sink)?.dead === 1 ? "it" : "them"} before. If its receiver is not mended, they come back here.`, body: { sink } };
  },
};

const FIELDS = {
  for: () => labelled("For how long", select([["1h", "1 hour"], ["4h", "4 hours"], ["24h", "1 day"], ["7d", "7 days"]])),
  note: () => labelled("Note, for whoever looks (optional)", Object.assign(document.createElement("input"), { type: "text", maxLength: 200, autocomplete: "off" })),
  discard: ({ lost }) => labelled(lost ? `Discard what came meanwhile: ${counted(lost, "message")} would be lost` : "Discard what came meanwhile", Object.assign(document.createElement("input"), { type: "checkbox" })),
};

function select(options) {
  const node = document.createElement("select");
  node.append(...options.map(([value, words]) => new Option(words, value)));
  return node;
}

function labelled(words, input) {
  const label = document.createElement("label");
  const text = Object.assign(document.createElement("span"), { textContent: words });
  if (input.type === "checkbox") label.append(input, text); else label.append(text, input);
  return label;
}

let asked = null; // {name, subject, opener} while the dialog is open

function ask(name, subject) {
  asked = { name, subject, opener: document.activeElement };
  const question = QUESTIONS[name](subject);
  byId("ask-fields").replaceChildren(...(question.fields ?? []).map((field) => {
    const label = FIELDS[field](question);
    label.querySelector("input, select").name = field;
    return label;
  }));
  setText(byId("ask-problem"), "");
  refreshDialog();
  byId("ask").showModal();
  byId("ask-cancel").focus();
}

function refreshDialog() {
  if (!asked || asked.isSent) return;
  const question = QUESTIONS[asked.name](asked.subject);
  setText(byId("ask-title"), question.title);
  setText(byId("ask-words"), question.words);
  setText(byId("ask-go"), question.go);
  byId("ask-go").className = question.isDanger ? "danger" : "go";
  byId("ask-go").disabled = Boolean(question.isOver);
}

async function act(event) {
  event.preventDefault();
  if (!asked || asked.isSent) return;
  asked.isSent = true;
  const { phone } = asked.subject;
  const body = { ...QUESTIONS[asked.name](asked.subject).body };
  for (const input of byId("ask-fields").querySelectorAll("input, select")) body[input.name] = input.type === "checkbox" ? input.checked : input.value.trim();
  byId("ask-go").disabled = true;
  const { done, problem, gone } = await post(asked.name, body);
  if (!page.overview) return; // logged out meanwhile
  if (gone) queueMicrotask(() => showGone(phone, gone)); // it stands over whatever is open
  if (!asked) return problem ? toast(problem, "fail") : toast(done);
  asked.isSent = false;
  byId("ask-go").disabled = false;
  if (problem) return setText(byId("ask-problem"), clean(problem));
  const { opener, name } = asked;
  if (opener.closest(".finding") || name === "hand-over" || name === "discard") asked.opener = headingOf(opener); // its row goes
  byId("ask").close();
  toast(done);
  if (shownPhone) find(shownPhone);
}

/** Post an action. Returns {done} or {problem}, each in the server's words; `gone` is what it threw away. */
async function post(name, body) {
  try {
    const answer = await fetch(`page/actions/${name}`, {
      signal: AbortSignal.timeout(PATIENCE_MS), method: "POST", body: JSON.stringify(body), credentials: "same-origin",
      headers: { "Content-Type": "application/json", "X-Rfctl-Csrf": page.csrf },
    });
    const text = await answer.text();
    const content = parse(text);
    if (answer.ok) return { done: content.done ?? "Done.", gone: content.messages?.length ? { messages: content.messages, text } : null };
    if (answer.status === 401) logOut();
    else readState().catch(() => {}); // a daemon that was started anew has another csrf word
    return { problem: problemOf(answer, content) };
  } catch {
    return { problem: "rfctl did not answer: nobody knows whether it was done. Look before you try again." };
  }
}

/** Return what a JSON text says; {} for another one, such as a proxy's page. */
function parse(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

const MOST_GONE = 200, MOST_GONE_CHARS = 2000; // more of it would make the browser slow: the file has it all

/** Show the last copy of what was thrown away, and offer it as a file, as it came. */
function showGone(phone, { messages, text }) {
  let isCut = messages.length > MOST_GONE;
  setText(byId("gone-title"), `Discarded: ${counted(messages.length, "message")} of ${phoneWords(phone)}`);
  byId("gone-list").replaceChildren(...messages.slice(0, MOST_GONE).map((message) => {
    const row = copyTemplate("gone-row"), words = typeof message?.message === "string" ? message.message : JSON.stringify(message);
    isCut ||= words.length > MOST_GONE_CHARS;
    if (message?.receivedAt) setTime(row.querySelector("time"), message.receivedAt, clock(message.receivedAt));
    const shown = words.length > MOST_GONE_CHARS ? `${words.slice(0, MOST_GONE_CHARS)}…` : words;
    setText(row.querySelector("bdi"), shown.split("\n").map(clean).join("\n"));
    return row;
  }));
  setText(byId("gone-more"), "Not all of it has room here: the file has it.");
  byId("gone-more").hidden = !isCut;
  URL.revokeObjectURL(byId("gone-save").href);
  byId("gone-save").download = `discarded-${phone.replace(/[^0-9A-Za-z]+/g, "-").replace(/^-/, "")}.json`;
  byId("gone-save").href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  if (!byId("gone").open) byId("gone").showModal();
}

function forgetGone() {
  URL.revokeObjectURL(byId("gone-save").href);
  for (const name of ["href", "download"]) byId("gone-save").removeAttribute(name);
  byId("gone-list").replaceChildren();
  setText(byId("gone-title"), "");
  if (page.overview) byId("waiting-title").focus(); // its row is gone
}

const problemOf = (answer, content) => [content.error ?? `rfctl answered ${answer.status} ${answer.statusText}`, content.next].filter(Boolean).join(": ");

/** Give the focus back to what opened the dialog; if that is gone, to a heading. */
function giveFocusBack() {
  if (byId("ask").open) return; // it asks the next question already
  const opener = asked?.opener;
  asked = null;
  if (!page.overview) return byId("log-in").focus(); // logged out
  (opener?.isConnected ? opener : byId("waiting-title")).focus();
}


/* ---- Find a person ---- */

let shownPhone = "";

async function find(phone) {
  shownPhone = phone;
  byId("answer").hidden = false;
  setText(byId("answer-title"), `Person ${phoneWords(phone)}`);
  byId("answer").setAttribute("aria-busy", "true");
  const { person, problem } = await readPerson(phone);
  if (phone !== shownPhone) return; // another was asked for meanwhile
  byId("answer").removeAttribute("aria-busy");
  renderPerson(person ?? { timeline: [], phone }, problem);
}

async function readPerson(phone) {
  try {
    const answer = await fetch(`page/find?phone=${encodeURIComponent(phone)}`, { credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE_MS) });
    const content = await answer.json().catch(() => ({}));
    if (answer.status === 401) logOut();
    return answer.ok ? { person: content } : { problem: problemOf(answer, content) };
  } catch {
    return { problem: "rfctl did not answer. Try again in a moment." };
  }
}

function renderPerson(person, problem) {
  const events = person.timeline ?? [], batches = person.batches ?? [], isHeld = person.held?.length > 0;
  byId("timeline").replaceChildren(...events.map(buildEvent).reverse());
  const words = problem ? clean(problem) : events.length ? "" : "Nothing is known of this person.";
  setText(byId("answer-words"), words);
  byId("answer-words").hidden = !words;
  byId("answer-more").hidden = person.complete !== false;
  setText(byId("answer-more"), "A stream was too long to be searched to its end: there may be more.");
  const who = phoneWords(shownPhone), subject = { phone: person.phone ?? shownPhone };
  patchButtons(byId("answer-buttons"), problem && !events.length ? [] : [
    isHeld ? ["hold", "Release", who, () => ask("release", subject)] : ["hold", "Hold", who, () => ask("hold", subject)],
  ]);
  announce(words || `${counted(events.length, "event")} of this person, ${counted(batches.length, "batch", "batches")} pending.`);
}

const EVENT_WORDS = { quarantined: "quarantined", message_dropped: "dropped by a rule", handed_over: "handed over", sent_again: "sent again", finished: "finished", held: "held", pending: "pending" };
const OUTCOME_STATES = { delivered: "ok", acknowledged: "ok", dead: "fail", missing: "fail", dropped: "warn", waiting: "warn", paused: "paused" };

function buildEvent(event) {
  const row = copyTemplate("event-row");
  const ms = Date.parse(event.at);
  if (!Number.isNaN(ms)) setTime(row.firstElementChild, ms, clock(ms));
  setText(row.querySelector("bdi"), clean(event.line ?? [EVENT_WORDS[event.event] ?? event.event, event.text].filter(Boolean).join(": ")));
  row.querySelector("ul").append(...(event.outcomes ?? []).map(buildOutcome));
  return row;
}

function buildOutcome(outcome) {
  const row = copyTemplate("outcome-row");
  setSign(row.firstElementChild, OUTCOME_STATES[outcome.state] ?? "idle");
  setText(part(row, "reader"), clean(outcome.sink ?? outcome.group));
  const at = outcome.at ? clock(Date.parse(outcome.at)) : "";
  const facts = [
    outcome.state.replaceAll("_", " "), at && `at ${at}`, outcome.attempts && counted(outcome.attempts, "attempt"),
    outcome.took_ms != null && duration(outcome.took_ms), outcome.error, outcome.behind && `behind ${outcome.behind}`, outcome.next,
  ];
  setText(part(row, "line"), facts.filter(Boolean).map(clean).join(" · "));
  return row;
}

function closeAnswer() {
  shownPhone = "";
  byId("answer").hidden = true;
  byId("phone").focus();
}


/* ---- Live: server-sent events, which rest while nobody looks ---- */

const SILENCE_MS = 15_000; // the daemon says more often that it is there: see QUIET_S in viewers.py
const PATIENCE_MS = 60_000; // so long an answer may take: one that never comes would leave the page waiting
let source = null, retryTimer = 0, failures = 0;

async function readState() {
  const answer = await fetch("page/state", { credentials: "same-origin", signal: AbortSignal.timeout(SILENCE_MS) });
  if (answer.status === 401) throw Object.assign(new Error("logged out"), { isLoggedOut: true });
  if (!answer.ok) throw new Error(`rfctl answered ${answer.status}`);
  const state = await answer.json();
  Object.assign(page, { mayAct: state.may_act, csrf: state.csrf });
  byId("logout").hidden = !state.may_log_out;
  if (state.overview) show(state.overview);
  if (state.outage) suffer(state.outage);
}

function show(overview) {
  Object.assign(page, { overview, cameAt: performance.now(), outage: null });
  document.body.classList.remove("out");
  renderBanners();
  render();
}

async function connect() {
  clearTimeout(retryTimer);
  source?.close();
  if (document.hidden) return;
  try {
    await readState();
  } catch (problem) {
    return problem.isLoggedOut ? logOut() : lose("Connection to rfctl lost, trying again.");
  }
  if (document.hidden) return;
  source?.close();
  source = new EventSource("page/events");
  source.addEventListener("state", (event) => { watchSilence(); show(JSON.parse(event.data).overview); });
  source.addEventListener("outage", (event) => { watchSilence(); suffer(JSON.parse(event.data)); });
  source.addEventListener("here", watchSilence);
  source.onopen = beLive;
  source.onerror = () => lose("Connection to rfctl lost, trying again.");
  watchSilence();
}

/** The stream is open. A state alone is not enough: a daemon that has no room for one more stream answers it, too. */
function beLive() {
  Object.assign(page, { isLost: false });
  failures = 0;
  renderBanners();
  watchSilence();
}

function watchSilence() {
  clearTimeout(retryTimer);
  retryTimer = setTimeout(() => lose(`rfctl has said nothing for ${duration(SILENCE_MS)}, trying again.`), SILENCE_MS);
}

/** Redis is away: rfctl says so, and what the page shows grows old. */
function suffer(outage) {
  const isNew = !page.outage;
  Object.assign(page, { outage });
  renderBanners();
  if (isNew) announceNews(byId("outage-words").textContent);
}

/** The connection is lost. It is tried again after 1, 2, 4, 8 and at last every 15 s. */
function lose(words, isLoggedOut = false) {
  clearTimeout(retryTimer);
  source?.close();
  const isNew = !page.isLost;
  page.isLost = true;
  setText(byId("lost-words"), words);
  byId("log-in").hidden = !isLoggedOut;
  renderBanners();
  if (isNew) announceNews(words);
  if (!isLoggedOut) retryLater();
}

/** The session is over: nothing of anybody stays on the screen, and there is a way back in. */
function logOut() {
  Object.assign(page, { overview: null, outage: null, csrf: "" });
  knownFindings = null;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  byId("phone").value = "";
  shownPhone = "";
  for (const id of ["answer", "toast"]) byId(id).hidden = true;
  document.body.classList.add("out");
  for (const id of ["word", "daemons-line", "redis-line", "answer-title", "heard", "news", "ask-title", "ask-words", "gone-title", "toast-words"]) setText(byId(id), "");
  for (const id of ["daemon-list", "answer-buttons", "ask-fields", "gone-list", "timeline", "findings", "waiting", "sinks", "last"]) { byId(id).replaceChildren(); byId(id).rows = undefined; }
  lose("You are logged out.", true);
  byId("log-in").focus();
}

function retryLater() {
  clearTimeout(retryTimer);
  retryTimer = setTimeout(connect, Math.min(15_000, 1000 * 2 ** failures++) * (0.8 + 0.4 * Math.random()));
}

function renderBanners() {
  byId("lost").hidden = !page.isLost;
  byId("outage").hidden = !page.outage || page.isLost;
  document.body.classList.toggle("old", page.isLost || Boolean(page.outage));
  if (page.outage) {
    setText(byId("outage-words"), `Redis away since ${clock(page.outage.since_ms)}.`);
    setText(byId("outage-fact"), clean(page.outage.fact).replace(/[^.!?]$/, "$&."));
  }
  renderAges();
  renderTitle();
}

/** A hidden tab asks for nothing; once it is seen again it is up to date at once. */
function restOrGoOn() {
  if (!document.hidden) return connect();
  clearTimeout(retryTimer);
  source?.close();
  source = null;
  renderTitle();
}


/* ---- Keys and switches ---- */

function toggleNumbers() {
  showsWholeNumbers = !showsWholeNumbers;
  byId("numbers").setAttribute("aria-pressed", String(showsWholeNumbers));
  if (page.overview) render();
  if (shownPhone) setText(byId("answer-title"), `Person ${phoneWords(shownPhone)}`);
}

function nextTheme() {
  const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
  applyTheme(theme);
  keep("theme", theme);
  setText(byId("theme"), `Theme: ${theme}`);
}

const KEYS = {
  "/": () => { byId("phone").focus(); byId("phone").select(); },
  n: toggleNumbers,
  "?": () => byId("help").showModal(),
};

function onKey(event) {
  const isTyping = event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (event.key === "Escape" && shownPhone && !document.querySelector("dialog[open]")) return closeAnswer();
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (!KEYS[event.key] || !byId("keys").checked) return;
  event.preventDefault();
  KEYS[event.key]();
}


/* ---- Begin ---- */

function beginPage() {
  setText(byId("theme"), `Theme: ${document.documentElement.dataset.theme}`);
  byId("theme").addEventListener("click", nextTheme);
  byId("numbers").addEventListener("click", toggleNumbers);
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("keys").checked = recall("keys", "on") === "on";
  byId("keys").addEventListener("change", () => keep("keys", byId("keys").checked ? "on" : "off"));
  byId("find").addEventListener("submit", (event) => { event.preventDefault(); find(byId("phone").value.trim()); });
  byId("answer-close").addEventListener("click", closeAnswer);
  byId("toast-close").addEventListener("click", () => { byId("toast").hidden = true; });
  byId("ask").querySelector("form").addEventListener("submit", act);
  byId("ask-cancel").addEventListener("click", () => byId("ask").close());
  byId("ask").addEventListener("close", giveFocusBack);
  byId("gone").addEventListener("close", forgetGone);
  document.addEventListener("keydown", onKey);
  document.addEventListener("visibilitychange", restOrGoOn);
  setInterval(() => { if (!document.hidden) tick(); }, matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 200);
  connect();
}

/** Log in without leaving the page, so that a refusal can be said beside the field. */
async function logIn(event) {
  event.preventDefault();
  setText(byId("problem"), "");
  try {
    const answer = await fetch(byId("login").action, { method: "POST", body: new URLSearchParams(new FormData(byId("login"))), redirect: "manual" });
    if (answer.type === "opaqueredirect" || answer.ok) return location.replace(new URL("../", byId("login").action));
    const content = await answer.json().catch(() => ({}));
    setText(byId("problem"), clean(content.error ?? (answer.status === 401 ? "This is not the token." : `rfctl answered ${answer.status}.`)));
  } catch {
    setText(byId("problem"), "rfctl did not answer. Try again in a moment.");
  }
  byId("token").select();
}

document.addEventListener("DOMContentLoaded", () => {
  if (byId("login")) byId("login").addEventListener("submit", logIn);
  else beginPage();
});
