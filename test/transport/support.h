/* Devices with real stores in a temporary folder, for the tests of transport/. */
#ifndef TEST_TRANSPORT_SUPPORT_H
#define TEST_TRANSPORT_SUPPORT_H

#include <dunlin/node.h>

struct device {
  char dir[160];
  dunlin_store *store;
};

/* The seed of this run: $DUNLIN_SEED or a fixed one; printed. */
unsigned support_seed(void);

void device_make(struct device *d, const char *name);
void device_drop(struct device *d);
/* A new space of `owner`. */
struct dunlin_id device_space(struct device *owner, const char *alias);
void device_invite(struct device *owner, const struct dunlin_id *space, const char *address, int64_t valid_us,
                   char line[DUNLIN_INVITATION_MAX]);
/* Commits one key of the root of a document. */
void device_put(struct device *d, const struct dunlin_id *space, const char *doc, const char *key, const char *value);
/* Many commits to one document, in groups. */
void device_put_many(struct device *d, const struct dunlin_id *space, const char *doc, int count, size_t value_len);
/* Whether key of doc is `value` ("" also when absent). */
bool device_has(struct device *d, const struct dunlin_id *space, const char *doc, const char *key, const char *value);
struct dunlin_id device_hash(struct device *d, const struct dunlin_id *space, const char *doc);
bool same_hash(struct device *a, struct device *b, const struct dunlin_id *space, const char *doc);

#endif
