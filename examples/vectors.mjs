// Puts the vectors of conformance/rig/vectors to a parser that speaks JSON lines, in any language. No dependencies.
//
//   node examples/vectors.mjs                        the parser of text_parser.mjs
//   node examples/vectors.mjs ./text_parser          the C parser, compiled as text_parser.c says
//
// Exit status 0 where all pass; each one that does not is a line with its rule and the bug it is there to catch.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const folder = new URL("../conformance/rig/vectors/", import.meta.url);
const load = (kind) => JSON.parse(readFileSync(new URL(`${kind}.json`, folder), "utf8")).vectors;

const UNITS = { utf8: "utf8", utf16: "utf16", "code points": "code_points", undefined: "code_points" };

const words = process.argv.slice(2);
const [command, ...rest] = words.length ? words : [process.execPath, new URL("text_parser.mjs", import.meta.url).pathname];
const parser = spawn(command, rest, { stdio: ["pipe", "pipe", "inherit"] });
const answers = createInterface({ input: parser.stdout })[Symbol.asyncIterator]();

// ASCII alone, so that no reader of lines sees one where there is none.
const ascii = (text) => text.replace(/[\u007f-\uffff]/g, (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0"));

let id = 0;
let failed = 0;
for (const vector of [...load("accept"), ...load("reject")]) {
  id += 1;
  parser.stdin.write(ascii(JSON.stringify({ id, system: "rig", profile: "strict", text: vector.text })) + "\n");
  const { value, done } = await answers.next();
  if (done) throw new Error(`${command} ended at vector ${vector.id}`);
  const { annotations = [], offsets } = JSON.parse(value);
  const found = annotations.map((a) => [a.query, a.value, a.start, a.end]);
  const wanted = vector.strict.map((a) => [a.query, a.value, ...a[UNITS[offsets]]]);
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    failed += 1;
    console.log(`${vector.rule} ${vector.id}: ${vector.bug}`);
  }
}
parser.stdin.end();
console.log(`${id - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
