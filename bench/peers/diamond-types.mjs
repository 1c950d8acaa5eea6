import { createRequire } from 'node:module';
import { main, tick } from './frame.mjs';

const { Doc } = createRequire(import.meta.url)('diamond-types-node');
const create = (actor) => ({ dt: new Doc(`agent${actor}`), kept: null });

main('diamond-types', 'diamond-types-node', 'wasm', {
  create,
  edit(doc, patches) {
    tick();
    const before = doc.kept && doc.dt.getLocalVersion();
    for (const [at, remove, insert] of patches) {
      if (remove) doc.dt.del(at, remove);
      if (insert) doc.dt.ins(at, insert);
    }
    doc.kept?.push(doc.dt.getPatchSince(before));
  },
  text: (doc) => doc.dt.get(),
  record(doc, run) {
    doc.kept = [];
    run();
    const updates = doc.kept;
    doc.kept = null;
    return updates;
  },
  apply: (doc, update) => doc.dt.mergeBytes(update),
  save: (doc) => doc.dt.toBytes(),
  load: (bytes, actor) => ({ dt: Doc.fromBytes(bytes, `agent${actor}`), kept: null }),
  notes: ['diamond-types-node 1.0.2 is an early build of the library; it has no maps'],
});
