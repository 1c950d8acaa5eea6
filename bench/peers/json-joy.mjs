import { createRequire } from 'node:module';
import { main, tick } from './frame.mjs';

const { Model, Patch } = createRequire(import.meta.url)('json-joy/lib/json-crdt');
// The string and the object are made by one base patch that all documents share.
const origin = Model.create(undefined, 100000);
origin.api.root({ text: '', map: {} });
const base = origin.toBinary();
const session = (actor) => 100001 + actor;

const create = (actor) => Model.load(base, session(actor));

main('json-joy', 'json-joy', 'js', {
  create(actor) {
    return { model: create(actor), kept: null };
  },
  edit(doc, patches) {
    tick();
    const text = doc.model.api.str(['text']);
    for (const [at, remove, insert] of patches) {
      if (remove) text.del(at, remove);
      if (insert) text.ins(at, insert);
    }
    const patch = doc.model.api.flush();
    doc.kept?.push(patch.toBinary());
  },
  text: (doc) => doc.model.api.str(['text']).view(),
  record(doc, run) {
    doc.kept = [];
    run();
    const updates = doc.kept;
    doc.kept = null;
    return updates;
  },
  apply: (doc, update) => doc.model.applyPatch(Patch.fromBinary(update)),
  save: (doc) => doc.model.toBinary(),
  load: (bytes, actor) => ({ model: Model.load(bytes, session(actor)), kept: null }),
  setAll(doc, keys, one, from = 0) {
    const map = doc.model.api.obj(['map']);
    doc.made = [];
    keys.forEach((key, i) => {
      map.set({ [key]: from + i });
      if (!one) doc.made.push(doc.model.api.flush());
    });
    if (one) doc.made.push(doc.model.api.flush());
    return doc;
  },
  size: (doc) => Object.keys(doc.model.api.obj(['map']).view()).length,
  readAll: (doc) => Object.entries(doc.model.api.obj(['map']).view()).sort(([a], [b]) => (a < b ? -1 : 1)),
  // It merges patches, not models: the patches of one side, in their binary form.
  exportAll: (doc) => doc.made.map((patch) => patch.toBinary()),
  importAll(doc, patches) {
    for (const patch of patches) doc.model.applyPatch(Patch.fromBinary(patch));
    return doc;
  },
  notes: ['its model keeps deleted characters as lengths only: save_bytes is without their content'],
});
