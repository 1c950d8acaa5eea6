import { LoroDoc } from 'loro-crdt';
import { main, tick } from './frame.mjs';

function create(actor) {
  const doc = new LoroDoc();
  doc.setPeerId(BigInt(actor));
  return doc;
}

main('loro', 'loro-crdt', 'wasm', {
  create,
  edit(doc, patches) {
    tick();
    const text = doc.getText('text');
    for (const [at, remove, insert] of patches) {
      if (remove) text.delete(at, remove);
      if (insert) text.insert(at, insert);
    }
    doc.commit();
  },
  text: (doc) => doc.getText('text').toString(),
  record(doc, run) {
    const updates = [];
    const stop = doc.subscribeLocalUpdates((update) => updates.push(update));
    run();
    doc.commit();
    stop();
    return updates;
  },
  apply: (doc, update) => doc.import(update),
  save: (doc) => doc.export({ mode: 'snapshot' }),
  load(bytes, actor) {
    const doc = create(actor);
    doc.import(bytes);
    return doc;
  },
  setAll(doc, keys, one, base = 0) {
    const map = doc.getMap('map');
    keys.forEach((key, i) => {
      map.set(key, base + i);
      if (!one) doc.commit();
    });
    doc.commit();
    return doc;
  },
  size: (doc) => doc.getMap('map').size,
  readAll: (doc) => Object.entries(doc.getMap('map').toJSON()).sort(([a], [b]) => (a < b ? -1 : 1)),
  exportAll: (doc) => doc.export({ mode: 'update' }),
  importAll(doc, bytes) {
    doc.import(bytes);
    return doc;
  },
});
