"use strict";
// The page reads without this: it adds sorting, copying, and takes scroll areas that do not scroll out of the tab order.
const say = (text) => { document.getElementById("status").textContent = text; };

const keyOf = (row, column) => {
  const cell = row.cells[column];
  const key = cell.dataset.key;
  return key === undefined ? { text: cell.textContent.trim().toLowerCase() } : { number: Number(key) };
};

const before = (a, b, numeric, sign) => {
  if (numeric) {
    // What has no number stays at the end, whichever way the rest is sorted.
    if (a.number === undefined || b.number === undefined) {
      return (a.number === undefined) - (b.number === undefined);
    }
    return a.number === b.number ? 0 : sign * (a.number < b.number ? -1 : 1);
  }
  return sign * a.text.localeCompare(b.text, "en", { numeric: true });
};

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = Array.from(body.rows);
  const headers = Array.from(table.tHead.rows[0].cells);
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[header.ariaSort || "none"];
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      const rows = original.slice();
      if (next !== "none") {
        header.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        const numeric = header.classList.contains("number");
        const keys = new Map(rows.map((row) => [row, keyOf(row, column)]));
        rows.sort((a, b) => before(keys.get(a), keys.get(b), numeric, sign));
      }
      body.append(...rows);
      const name = header.textContent.trim();
      say(next === "none" ? "In the report's own order" : `Sorted by ${name}, ${next}`);
    });
  });
}

const copy = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Where the page has no access to the clipboard: by way of a selection.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
};

for (const frame of document.querySelectorAll(".command")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy this command");
  frame.append(button);
  button.addEventListener("click", async () => {
    const done = await copy(frame.querySelector("code").textContent);
    button.focus();
    button.textContent = done ? "Copied" : "Press Ctrl+C";
    say(done ? "Copied" : "Copying is not allowed here");
    if (!done) { getSelection().selectAllChildren(frame.querySelector("code")); }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

// A link to a place in a folded part opens it; not every browser does so by itself. On paper everything is open.
const reveal = () => {
  const place = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = place && place.parentElement; part; part = part.parentElement) {
    if (part.tagName === "DETAILS" && !part.open) { part.open = true; place.scrollIntoView(); }
  }
};
addEventListener("hashchange", reveal);
reveal();
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) { part.open = true; } });

const areas = document.querySelectorAll(".scroll, .plot");
// Fades the edge beyond which there is more.
const hint = (area) => {
  area.classList.toggle("more", area.scrollLeft + area.clientWidth < area.scrollWidth - 1);
};
const settle = () => {
  for (const area of areas) {
    const scrolls = area.scrollWidth > area.clientWidth + 1 || area.scrollHeight > area.clientHeight + 1;
    if (scrolls) { area.tabIndex = 0; } else { area.removeAttribute("tabindex"); }
    hint(area);
  }
};
for (const area of areas) { area.addEventListener("scroll", () => hint(area), { passive: true }); }
settle();
addEventListener("resize", settle);
// What is folded has no width until it is opened.
document.addEventListener("toggle", settle, true);

// Says in the contents where the reader is.
const entries = new Map(Array.from(document.querySelectorAll("nav a"), (a) => [a.hash.slice(1), a]));
const titles = Array.from(document.querySelectorAll("main h2, main h3")).filter((title) => entries.has(title.id));
let current = null;
const follow = () => {
  let found = null;
  for (const title of titles) {
    if (title.getBoundingClientRect().top > innerHeight / 3) { break; }
    found = title;
  }
  const entry = found && entries.get(found.id);
  if (entry === current) { return; }
  if (current) { current.removeAttribute("aria-current"); }
  if (entry) {
    entry.setAttribute("aria-current", "location");
    const list = entry.closest("nav");
    const place = entry.getBoundingClientRect(), frame = list.getBoundingClientRect();
    if (place.top < frame.top || place.bottom > frame.bottom) { list.scrollTop += place.top - frame.top - frame.height / 3; }
  }
  current = entry;
};
let waiting = false;
addEventListener("scroll", () => {
  if (waiting) { return; }
  waiting = true;
  requestAnimationFrame(() => { waiting = false; follow(); });
}, { passive: true });
follow();
