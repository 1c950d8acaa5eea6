// What the peers share: reading traces, measuring, checking, printing rows.
//
//   node NAME.mjs text|map [--trace FILE] [--n N] [--quick]
//
// prints one JSON object: {peer, version, kind, rows, notes}.  A peer is an object of functions, one for each thing that a library
// can do; what it cannot is left out with a note.

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { basename } from 'node:path';

const BUDGET = 20000; // ms a metric: fewer runs when they are slow
const PATIENCE = 60000; // ms of one run (a sixth with --quick): then the metric gets no row, but a note

// A slow library calls tick() in its loops, so that a run can be given up.
class TooSlow extends Error {}
let deadline = Infinity;
export function tick() {
  if (performance.now() > deadline) throw new TooSlow('too slow');
}

function options() {
  const args = process.argv.slice(2);
  const value = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
  const quick = args.includes('--quick');
  return { suite: args[0], trace: value('--trace'), n: Number(value('--n') ?? (quick ? 3 : 5)), patience: quick ? PATIENCE / 6 : PATIENCE };
}

// ---- Traces ----------------------------------------------------------------------------------------------------

// Positions in a trace count scalar values.  When every character is one UTF-16 unit, as in all known traces, they are positions
// of JavaScript strings too; else they are converted by replaying, which a concurrent trace does not allow.
function toUtf16(trace) {
  const wide = (text) => /[\ud800-\udfff]/.test(text);
  const texts = trace.txns.flatMap((txn) => txn.patches.map((patch) => patch[2]));
  if (!wide(trace.startContent ?? '') && !texts.some(wide)) return;
  if (trace.kind === 'concurrent') throw new Error('a concurrent trace with characters beyond the BMP: not supported by the peers');
  const text = Array.from(trace.startContent ?? '');
  const units = (slice) => slice.reduce((sum, c) => sum + c.length, 0);
  for (const txn of trace.txns) {
    for (const patch of txn.patches) {
      const [at, remove, insert] = patch;
      patch[0] = units(text.slice(0, at));
      patch[1] = units(text.slice(at, at + remove));
      text.splice(at, remove, ...Array.from(insert));
    }
  }
}

export function readTrace(path) {
  const raw = readFileSync(path);
  const trace = JSON.parse(raw[0] === 0x1f ? gunzipSync(raw) : raw);
  toUtf16(trace);
  const concurrent = trace.kind === 'concurrent';
  trace.txns.forEach((txn, i) => {
    txn.agent ??= 0;
    txn.parents ??= i ? [i - 1] : [];
  });
  return {
    name: basename(path).replace(/\..*$/, ''),
    concurrent,
    agents: concurrent ? trace.numAgents : 1,
    start: trace.startContent ?? '',
    end: trace.endContent,
    txns: trace.txns,
  };
}

// ---- Measuring -------------------------------------------------------------------------------------------------

export class Report {
  constructor(peer, version, kind, n, patience) {
    this.out = { peer, version, kind, rows: [], notes: [] };
    this.n = n;
    this.patience = patience;
  }

  note(text) {
    this.out.notes.push(`${this.out.peer}: ${text}`);
  }

  row(suite, name, metric, unit, samples) {
    const sorted = [...samples].sort((a, b) => a - b);
    const n = sorted.length;
    const median = n % 2 ? sorted[(n - 1) / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    this.out.rows.push({ suite, case: name, peer: this.out.peer, metric, unit, median, min: sorted[0], max: sorted[n - 1], n });
  }

  // What `make` gives, or undefined and a note when it takes too long.
  within(what, make) {
    deadline = performance.now() + this.patience;
    try {
      return make();
    } catch (error) {
      if (!(error instanceof TooSlow)) throw error;
      this.note(`${what}: over ${this.patience / 1000} s, cut`);
      return undefined;
    } finally {
      deadline = Infinity;
    }
  }

  // Runs `run`, whose result `check` must accept; `prepare` is not measured.  One warm-up run, then n.
  time(suite, name, metric, run, check = () => true, prepare = () => undefined) {
    const samples = [];
    const began = performance.now();
    for (let i = 0; i <= this.n && (i < 2 || performance.now() - began < BUDGET); i++) {
      const prepared = prepare();
      globalThis.gc?.();
      const start = performance.now();
      const result = this.within(`${suite} ${name} ${metric}`, () => run(prepared));
      const took = performance.now() - start;
      if (result === undefined) return;
      if (!check(result)) throw new Error(`${suite} ${name} ${metric}: wrong result`);
      if (i) samples.push(took);
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${this.out.peer} ${name} ${metric} ${i}\r`);
    }
    this.row(suite, name, metric, 'ms', samples);
  }
}

// ---- Suites ----------------------------------------------------------------------------------------------------

// A library is an object of functions: create(actor) an empty document (on a base that all share), edit(doc, patches) one
// transaction, text(doc), record(doc, run) the updates that `run` makes, one for each transaction, apply(doc, update), save(doc),
// load(bytes, actor); for maps setAll, size, readAll, exportAll, importAll.

function applyAll(lib, doc, updates) {
  for (const update of updates) lib.apply(doc, update);
  return doc;
}

// A document for each agent; before an agent writes it takes in the past of the transaction's parents, and nothing else.
function replay(lib, trace) {
  const docs = Array.from({ length: trace.agents }, (_, i) => lib.create(i + 1));
  const has = docs.map(() => new Set());
  const updates = [];
  trace.txns.forEach((txn, i) => {
    const missing = [];
    const stack = [...txn.parents];
    for (const at of stack) {
      if (has[txn.agent].has(at)) continue;
      has[txn.agent].add(at);
      missing.push(at);
      stack.push(...trace.txns[at].parents);
    }
    for (const at of missing.sort((a, b) => a - b)) applyAll(lib, docs[txn.agent], updates[at]);
    updates[i] = lib.record(docs[txn.agent], () => lib.edit(docs[txn.agent], txn.patches));
    has[txn.agent].add(i);
  });
  const all = updates.flat();
  return { updates: all, full: applyAll(lib, lib.create(99), all) };
}

function sequentialCases(lib, trace, report) {
  const { name } = trace;
  const ends = (doc) => lib.text(doc) === trace.end;
  const fresh = (actor = 1) => {
    const doc = lib.create(actor);
    if (trace.start) lib.edit(doc, [[0, 0, trace.start]]);
    return doc;
  };
  const typeEach = (doc, txns = trace.txns) => {
    for (const txn of txns) lib.edit(doc, txn.patches);
    return doc;
  };
  const all = [{ patches: trace.txns.flatMap((txn) => txn.patches) }];
  const recorded = (txns) => {
    const doc = lib.create(7);
    if (trace.start) throw new Error('a start content is not supported with updates');
    return { doc, updates: lib.record(doc, () => typeEach(doc, txns)) };
  };
  let updates;
  report.time('text', name, 'local_apply', () => typeEach(fresh(), all), ends);
  report.time('text', name, 'commit_per_edit', () => typeEach(fresh()), ends);
  report.time('text', name, 'commit_encode_per_edit', () => {
    const made = recorded(trace.txns);
    updates = made.updates;
    return made.doc;
  }, ends);
  const one = report.within(`text ${name} remote_apply_bulk`, () => recorded(all).updates);
  if (one) report.time('text', name, 'remote_apply_bulk', () => applyAll(lib, lib.create(9), one), ends);
  return { updates, full: report.within(`text ${name} save and load`, () => typeEach(fresh())) };
}

function textSuite(lib, trace, report) {
  const { name } = trace;
  const ends = (doc) => lib.text(doc) === trace.end;
  const { updates, full } = trace.concurrent
    ? report.within(`text ${name}`, () => replay(lib, trace)) ?? {}
    : sequentialCases(lib, trace, report);
  if (!full) return;
  if (!ends(full)) throw new Error(`text ${name}: replaying it does not give its end content`);
  if (updates) report.time('text', name, 'remote_apply_per_delta', () => applyAll(lib, lib.create(9), updates), ends);
  const bytes = lib.save(full);
  if (trace.concurrent) report.time('text', name, 'rebuild', () => lib.load(bytes, 9), ends);
  report.row('text', name, 'save_bytes', 'bytes', [bytes.length]);
  report.time('text', name, 'save', (doc) => lib.save(doc), (out) => out.length > 0, () => lib.load(bytes, 9));
  report.time('text', name, 'load_read', () => lib.text(lib.load(bytes, 9)), (text) => text === trace.end);
  const another = lib.load(bytes, 8);
  const other = lib.record(another, () => lib.edit(another, [[0, 0, 'other']]));
  report.time('text', name, 'load_edit_merge', () => {
    const doc = lib.load(bytes, 9);
    lib.edit(doc, [[0, 0, 'mine']]);
    return applyAll(lib, doc, other);
  }, (doc) => lib.text(doc).length === trace.end.length + 9);
  for (const note of lib.notes ?? []) report.note(note);
}

const SETS = 100000;
const KEYS = 10000;

function mapSuite(lib, report) {
  if (!lib.setAll) return report.note('map: this library has no maps');
  const name = '100k-on-10k';
  // The same generator as dunlin-bench's: xorshift64.
  const keys = [];
  for (let i = 0, state = 1n; i < SETS; i++) {
    state ^= (state << 13n) & 0xffffffffffffffffn;
    state ^= state >> 7n;
    state ^= (state << 17n) & 0xffffffffffffffffn;
    keys.push(`key${state % BigInt(KEYS)}`);
  }
  const complete = (doc) => lib.size(doc) >= KEYS - 10;
  report.time('map', name, 'set_one_txn', () => lib.setAll(lib.create(1), keys, true), complete);
  report.time('map', name, 'set_txn_each', () => lib.setAll(lib.create(1), keys, false), complete);
  const bytes = report.within(`map ${name} save and load`, () => lib.save(lib.setAll(lib.create(1), keys, false)));
  if (bytes) report.row('map', name, 'save_bytes', 'bytes', [bytes.length]);
  if (bytes) report.time('map', name, 'load_read', () => { const doc = lib.load(bytes, 9); lib.readAll(doc); return doc; }, complete);
  const each = Array.from({ length: KEYS }, (_, i) => `key${i}`);
  const sides = report.within(`map ${name} merge_concurrent`,
    () => [1, 2].map((actor) => lib.exportAll(lib.setAll(lib.create(actor), each, false, actor))));
  if (sides) report.time('map', name, 'merge_concurrent', (docs) => docs.map((doc, i) => lib.importAll(doc, sides[1 - i])),
    (docs) => JSON.stringify(lib.readAll(docs[0])) === JSON.stringify(lib.readAll(docs[1])),
    () => sides.map((side, i) => lib.importAll(lib.create(11 + i), side)));
}

export function main(peer, packageName, kind, lib) {
  const { suite, trace, n, patience } = options();
  let version = '?';
  try {
    version = JSON.parse(readFileSync(new URL(`./node_modules/${packageName}/package.json`, import.meta.url))).version;
  } catch {
    process.stderr.write(`${peer}: ${packageName} is not installed\n`);
    process.exit(3);
  }
  const report = new Report(peer, version, kind, n, patience);
  try {
    if (suite === 'text') textSuite(lib, readTrace(trace), report);
    else if (suite === 'map') mapSuite(lib, report);
    else throw new Error(`unknown suite '${suite}'`);
  } catch (error) {
    process.stderr.write(`${peer}: ${error.message}\n`);
    process.exit(1);
  }
  process.stdout.write(`${JSON.stringify(report.out)}\n`);
}
