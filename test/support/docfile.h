/* What a document's compact form says of itself. */
#ifndef TEST_SUPPORT_DOCFILE_H
#define TEST_SUPPORT_DOCFILE_H

#include "crdt/docfile.h"
#include "crdt/msgpack.h"

/* How many raw bytes its header declares; 0 when there is no such header. */
static inline size_t docfile_declared(const uint8_t *data, size_t size) {
  const size_t magic = sizeof DOCFILE_MAGIC - 1;
  if (size < magic) return 0;
  struct mp_reader r = mp_reader_of(data + magic, size - magic);
  size_t sum = 0;
  mp_read_uint(&r, UINT64_MAX);
  mp_read_bin(&r, SIZE_MAX);
  for (int i = 0; i < DOCFILE_SECTIONS; i++) {
    sum += (size_t)mp_read_uint(&r, DOCFILE_SECTION_MAX);
    mp_read_uint(&r, DOCFILE_SECTION_MAX);
  }
  return r.error ? 0 : sum;
}

#endif
