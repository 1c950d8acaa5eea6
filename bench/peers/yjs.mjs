import * as Y from 'yjs';
import { main, tick } from './frame.mjs';

const text = (doc) => doc.getText('text');

function create(actor) {
  const doc = new Y.Doc({ gc: false }); // full history, as the others keep it
  doc.clientID = actor;
  return doc;
}

function edit(doc, patches) {
  tick();
  doc.transact(() => {
    for (const [at, remove, insert] of patches) {
      if (remove) text(doc).delete(at, remove);
      if (insert) text(doc).insert(at, insert);
    }
  });
}

main('yjs', 'yjs', 'js', {
  create,
  edit,
  text: (doc) => text(doc).toString(),
  record(doc, run) {
    const updates = [];
    const keep = (update) => updates.push(update);
    doc.on('update', keep);
    run();
    doc.off('update', keep);
    return updates;
  },
  apply: (doc, update) => Y.applyUpdate(doc, update),
  save: (doc) => Y.encodeStateAsUpdateV2(doc),
  load(bytes, actor) {
    const doc = create(actor);
    Y.applyUpdateV2(doc, bytes);
    return doc;
  },
  setAll(doc, keys, one, base = 0) {
    const map = doc.getMap('map');
    const all = () => keys.forEach((key, i) => map.set(key, base + i));
    if (one) doc.transact(all);
    else all(); // each set is a transaction
    return doc;
  },
  size: (doc) => doc.getMap('map').size,
  readAll: (doc) => [...doc.getMap('map').keys()].sort().map((key) => [key, doc.getMap('map').get(key)]),
  exportAll: (doc) => Y.encodeStateAsUpdate(doc),
  importAll(doc, bytes) {
    Y.applyUpdate(doc, bytes);
    return doc;
  },
});
