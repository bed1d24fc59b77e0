// What moves: the page is fetched again after a change, logs grow, and keys lead through lists. What
// the browser knows better than the bridge: the time where somebody is.
// Everything works without this file, too.
"use strict";

const FALLBACK_MS = 60_000;
const PAUSE_MS = 400;

// ── the page is fetched again after each change, and merged in place ──────────────────────────────

let fetching = false, again = false;

async function refresh() {
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html", "Bridge-Part": "main" } });
    if (response.redirected && !response.url.startsWith(location.origin + location.pathname)) {
      location.assign(response.url);
      return;
    }
    if (response.ok) merge(await response.text());
  } catch { /* the bridge is away: the stream comes back with it */ } finally {
    fetching = false;
    if (again) { again = false; setTimeout(refresh, PAUSE_MS); }
  }
}

function merge(text) {
  const main = new DOMParser().parseFromString(text, "text/html").querySelector("main");
  const here = document.querySelector("main");
  if (!main || !here) return;
  tellLocalTimes(main);
  const before = inShort(here);
  Idiomorph.morph(here, main, {
    ignoreActiveValue: true,
    callbacks: {
      beforeNodeMorphed(old) {
        // Neither close what somebody has opened, nor empty a log or what they type.
        if (!(old instanceof Element)) return true;
        return !(old.matches("[data-log], details[open]") || old.contains(document.activeElement) && old.matches("form"));
      },
    },
  });
  announce(inShort(here).filter((one) => !before.includes(one)));
}

// Over HTTP/1.1 a browser has six connections to a host, and each stream takes one. So a hidden tab has
// none, and of the tabs that are seen one listens for changes and tells the others.
function whileSeen(open) {
  let close = null;
  const look = () => {
    if (!document.hidden) close ??= open();
    else if (close) { close(); close = null; }
  };
  document.addEventListener("visibilitychange", look);
  look();
}

function watch() {
  if (!document.querySelector("main[data-live]")) return;
  const tabs = new BroadcastChannel("bridge-live");
  let timer = 0;
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(refresh, PAUSE_MS / 2);
  };
  tabs.onmessage = changed;
  const listen = (signal) => new Promise((over) => {
    if (signal.aborted) return over();
    const stream = new EventSource("/console/live");
    stream.addEventListener("changed", () => { changed(); tabs.postMessage(""); });
    stream.addEventListener("error", () => { if (stream.readyState === EventSource.CLOSED) over(); });
    signal.addEventListener("abort", () => { stream.close(); over(); });
  });
  let seen = false;
  whileSeen(() => {
    const ends = new AbortController(), { signal } = ends, asked = performance.now();
    // Who took over from another tab may have missed a change.
    const takeTurn = () => { if (performance.now() - asked > PAUSE_MS) changed(); return listen(signal); };
    // Browsers have locks only on pages that came by HTTPS or from this machine.
    if (navigator.locks) navigator.locks.request("bridge-live", { signal }, takeTurn).catch(() => {});
    else takeTurn();
    if (seen) refresh();
    seen = true;
    return () => ends.abort();
  });
  setInterval(() => document.hidden || refresh(), FALLBACK_MS);
}

// ── what has changed is read aloud, politely: only the newest, and not at every moment ────────────

const QUIET_MS = 5_000;
let telling = 0, told = -QUIET_MS;

// The state in the heading, and how many rows each list has.
function inShort(main) {
  const title = main.querySelector("h1"), tag = main.querySelector("h1 ~ .tag");
  const lists = [...main.querySelectorAll("section[aria-labelledby]")].map((list) =>
    [list.querySelector("h2")?.textContent.trim(), list.querySelectorAll(".row").length]);
  return [...(tag ? [`${title.textContent.trim()}: ${tag.textContent.trim()}`] : []),
    ...lists.filter(([name]) => name).map(([name, rows]) => `${name}: ${rows}`)];
}

function announce(news) {
  if (!news.length) return;
  clearTimeout(telling);
  telling = setTimeout(() => {
    told = performance.now();
    document.getElementById("said").textContent = news.join(", ");
  }, Math.max(0, told + QUIET_MS - performance.now()));
}

// What was done is told by a notice that is there from the start, which no screen reader announces.
function readAloud(notice) {
  if (!notice) return;
  notice.tabIndex = -1;
  notice.focus({ preventScroll: true });
}

// ── local time beside UTC ────────────────────────────────────────────────────────────────────────

const DAY = { year: "numeric", month: "2-digit", day: "2-digit" };
const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short" };

// Returns the time here, with the date if that differs; "" where it is the same.
function localTime(at) {
  if (Number.isNaN(at.getTime()) || at.getTimezoneOffset() === 0) return "";
  const day = at.toLocaleDateString("sv", DAY);
  const time = at.toLocaleTimeString("en-GB", TIME);
  return day === at.toISOString().slice(0, 10) ? time : `${day} ${time}`;
}

function tellLocalTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const local = localTime(new Date(time.dateTime));
    if (!local) continue;
    if (time.hasAttribute("data-utc")) time.append(` (${local})`);
    else time.title += ` (${local})`;
  }
}

// ── a log that grows ─────────────────────────────────────────────────────────────────────────────

function follow(pre) {
  let ended = false;
  whileSeen(() => {
    if (ended) return () => {};
    const stream = new EventSource(pre.dataset.log);
    stream.addEventListener("reset", () => { pre.textContent = ""; });
    stream.addEventListener("line", (event) => {
      const atEnd = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 40;
      pre.append(event.data + "\n");
      if (atEnd) pre.scrollTop = pre.scrollHeight;
    });
    stream.addEventListener("end", () => { ended = true; stream.close(); });
    return () => stream.close();
  });
}

// ── keys: "/" and Ctrl-K search, "j" and "k" move, "?" says so ───────────────────────────────────

function typing(target) {
  return target.matches("input, textarea, select, [contenteditable]");
}

function move(by) {
  const links = [...document.querySelectorAll(".row a[data-main]")];
  const at = links.findIndex((link) => link.closest(".row").contains(document.activeElement));
  const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by];
  if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
}

function search() {
  const field = document.querySelector(".search input");
  field?.focus();
  field?.select();
}

function showKeys() {
  const keys = document.getElementById("keys");
  if (!keys.open) keys.showModal();
}

document.addEventListener("keydown", (event) => {
  const commands = event.ctrlKey || event.metaKey;
  if (commands && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    return search();
  }
  if (commands || event.altKey || typing(event.target)) return;
  if (event.key === "/") { event.preventDefault(); search(); }
  else if (event.key === "?") showKeys();
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
});

for (const button of document.querySelectorAll("[data-keys]")) {
  button.hidden = false;
  button.addEventListener("click", showKeys);
}

// A form is sent once.
document.addEventListener("submit", (event) => {
  if (event.target.method === "dialog") return;
  for (const button of event.target.querySelectorAll("button")) setTimeout(() => { button.disabled = true; });
});

// What is being worked out is asked for again.
const waiting = setInterval(() => document.querySelector("[data-again]") ? refresh() : clearInterval(waiting), 1000);

for (const pre of document.querySelectorAll("[data-log]")) follow(pre);
tellLocalTimes(document);
readAloud(document.querySelector(".notice.ok[role=status]"));
watch();
