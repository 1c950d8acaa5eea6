import * as Automerge from '@automerge/automerge';
import { main, tick } from './frame.mjs';

const hex = (actor) => actor.toString(16).padStart(8, '0');
// The text and the map are objects of one base change that all documents share.
const base = Automerge.save(Automerge.from({ text: '', map: {} }, { actor: hex(0xba5e) }));

// Documents are immutable values; `doc.now` holds the current one.
const create = (actor) => ({ now: Automerge.load(base, { actor: hex(actor) }), kept: null });

main('automerge', '@automerge/automerge', 'wasm', {
  create,
  edit(doc, patches) {
    tick();
    doc.now = Automerge.change(doc.now, { time: 0 }, (d) => {
      for (const [at, remove, insert] of patches) { tick(); Automerge.splice(d, ['text'], at, remove, insert); }
    });
    doc.kept?.push(Automerge.getLastLocalChange(doc.now));
  },
  text: (doc) => doc.now.text,
  record(doc, run) {
    doc.kept = [];
    run();
    const updates = doc.kept.filter(Boolean);
    doc.kept = null;
    return updates;
  },
  apply(doc, update) {
    tick();
    [doc.now] = Automerge.applyChanges(doc.now, [update]);
  },
  save: (doc) => Automerge.save(doc.now),
  load: (bytes, actor) => ({ now: Automerge.load(bytes, { actor: hex(actor) }), kept: null }),
  setAll(doc, keys, one, from = 0) {
    const set = (d, key, i) => { tick(); d.map[key] = from + i; };
    if (one) doc.now = Automerge.change(doc.now, { time: 0 }, (d) => keys.forEach((key, i) => set(d, key, i)));
    else keys.forEach((key, i) => { tick(); doc.now = Automerge.change(doc.now, { time: 0 }, (d) => set(d, key, i)); });
    return doc;
  },
  size: (doc) => Object.keys(doc.now.map).length,
  readAll: (doc) => Object.entries(doc.now.map).sort(([a], [b]) => (a < b ? -1 : 1)),
  exportAll: (doc) => Automerge.save(doc.now),
  importAll(doc, bytes) {
    doc.now = Automerge.merge(doc.now, Automerge.load(bytes));
    return doc;
  },
});
