"use strict";
// The page reads without this: it adds sorting, copying, and takes scroll areas that do not scroll out of the tab order.
const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
const say = (text) => { document.getElementById("status").textContent = text; };
const button = (parent, ...content) => {
  const made = document.createElement("button");
  made.type = "button";
  made.append(...content);
  parent.append(made);
  return made;
};

const compare = (a, b, numeric, sign) => {
  if (!numeric) { return sign * a.textContent.localeCompare(b.textContent, "en", { numeric: true, sensitivity: "base" }); }
  // What has no number stays at the end, whichever way the rest is sorted.
  const [x, y] = [a, b].map((cell) => Number(cell.dataset.key ?? NaN));
  if (isNaN(x) || isNaN(y)) { return isNaN(x) - isNaN(y); }
  return x === y ? 0 : sign * (x < y ? -1 : 1);
};

for (const table of all("table.sortable")) {
  const original = Array.from(table.tBodies[0].rows);
  const headers = Array.from(table.tHead.rows[0].cells);
  headers.forEach((header, column) => {
    button(header, ...header.childNodes).addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[header.ariaSort || "none"];
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      const rows = original.slice();
      if (next !== "none") {
        header.setAttribute("aria-sort", next);
        const numeric = header.classList.contains("number");
        rows.sort((a, b) => compare(a.cells[column], b.cells[column], numeric, next === "ascending" ? 1 : -1));
      }
      table.tBodies[0].append(...rows);
      say(next === "none" ? "In the report's own order" : `Sorted by ${header.textContent.trim()}, ${next}`);
    });
  });
}

for (const frame of all(".command")) {
  const code = frame.querySelector("code");
  const copy = button(frame, "Copy");
  copy.className = "copy";
  copy.setAttribute("aria-label", "Copy this command");
  copy.addEventListener("click", async () => {
    // Selected first: where the page has no access to the clipboard, the reader copies it.
    getSelection().selectAllChildren(code);
    const write = navigator.clipboard?.writeText(code.textContent) ?? Promise.reject();
    const done = await write.then(() => true, () => document.execCommand("copy"));
    if (done) { getSelection().removeAllRanges(); }
    copy.textContent = done ? "Copied" : "Press Ctrl+C";
    say(done ? "Copied" : "Copying is not allowed here");
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
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
addEventListener("beforeprint", () => all("details").forEach((part) => { part.open = true; }));

const areas = all(".scroll, .plot");
// Fades the edge beyond which there is more.
const hint = (area) => area.classList.toggle("more", area.scrollLeft + area.clientWidth < area.scrollWidth - 1);
const settle = () => areas.forEach((area) => {
  const scrolls = area.scrollWidth > area.clientWidth + 1 || area.scrollHeight > area.clientHeight + 1;
  if (scrolls) { area.tabIndex = 0; } else { area.removeAttribute("tabindex"); }
  hint(area);
});
areas.forEach((area) => area.addEventListener("scroll", () => hint(area), { passive: true }));
settle();
addEventListener("resize", settle);
// What is folded has no width until it is opened.
document.addEventListener("toggle", settle, true);

// Says in the contents where the reader is.
const entries = new Map(all("nav a").map((entry) => [entry.hash.slice(1), entry]));
const titles = all("main :is(h2, h3)").filter((title) => entries.has(title.id));
let current, waiting = false;
const follow = () => {
  waiting = false;
  const entry = entries.get(titles.findLast((title) => title.getBoundingClientRect().top <= innerHeight / 3)?.id);
  if (entry === current) { return; }
  current?.removeAttribute("aria-current");
  current = entry;
  entry?.setAttribute("aria-current", "location");
  const list = document.querySelector("nav");
  const place = entry?.getBoundingClientRect(), frame = list.getBoundingClientRect();
  if (place && (place.top < frame.top || place.bottom > frame.bottom)) { list.scrollTop += place.top - frame.top - frame.height / 3; }
};
addEventListener("scroll", () => {
  if (!waiting) { waiting = true; requestAnimationFrame(follow); }
}, { passive: true });
follow();
