// A parser of RIG and RAG answers in JavaScript, spoken to in JSON lines. No dependencies.
//
//   pytest conformance --impl 'rig=cmd:node examples/text_parser.mjs' --impl 'rag=cmd:node examples/text_parser.mjs'
//
// JavaScript counts strings in UTF-16 units; the answer says so, and the driver converts.

import { createInterface } from "node:readline";

const ANNOTATION = {
  strict: /\[__DC__\("([^\x00-\x1f"\x7f]+)"\) --> "([^\x00-\x1f"\x7f]*)"\]/g,
  official: /\[__DC__\("([^"]+)"\) --> "([^"]*)"\]?/g,
};

// The Unicode property White_Space. Not trim(), which also takes U+FEFF.
const SPACE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const BLANK = new RegExp(`^[${SPACE}]*$`);
const LIST_MARKER = new RegExp(`^(?:[-*+\\u2022]|[0-9]{1,2}[.)]|\\([0-9]{1,2}\\))(?:[${SPACE}]|$)`);

function annotations(text, profile) {
  const found = [];
  const pattern = new RegExp(ANNOTATION[profile]);
  for (let match; (match = pattern.exec(text)); ) {
    const [raw, query, value] = match;
    if (profile === "strict" && BLANK.test(query)) {
      // No annotation, but one may begin inside it.
      pattern.lastIndex = match.index + 1;
    } else {
      found.push({ query, value, start: match.index, end: match.index + raw.length });
    }
  }
  return found;
}

// Written as two loops, because a pattern such as /\s+$/ takes quadratic time on a line with spaces inside.
function trim(line, isSpace) {
  let start = 0;
  let end = line.length;
  while (start < end && isSpace.test(line[start])) start += 1;
  while (end > start && isSpace.test(line[end - 1])) end -= 1;
  return line.slice(start, end);
}

const STRICT_SPACE = new RegExp(`[${SPACE}]`);
const PYTHON_SPACE = new RegExp(`[${SPACE}\\x1c-\\x1f]`);

function queries(text, profile) {
  const found = new Set();
  for (const line of text.split("\n")) {
    if (found.size === 25) break;
    const query = trim(line, profile === "strict" ? STRICT_SPACE : PYTHON_SPACE);
    if (query === "") continue;
    if (profile === "strict" && (/[\x00-\x1f\x7f]/.test(query) || LIST_MARKER.test(query))) continue;
    found.add(query);
  }
  return [...found];
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, system, profile, text } = JSON.parse(line);
  const answer =
    system === "rig" ? { id, offsets: "utf16", annotations: annotations(text, profile) } : { id, queries: queries(text, profile) };
  process.stdout.write(JSON.stringify(answer) + "\n");
}
