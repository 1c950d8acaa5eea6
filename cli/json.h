/* Document values as JSON and back, such that export then import is equal.  docs/json.md is the reference for users.
 *
 *   null, bool, string, int64, float64   as JSON has them; a number with a point or an exponent is a float64
 *   NaN, +infinity, -infinity            {"$float": "nan" | "inf" | "-inf"}
 *   bytes                                {"$bytes": base64}
 *   a time                               {"$time": "2026-11-21T01:02:03.000004Z"}, or microseconds as a number
 *   text, counter                        a string, a number: what is imported from them is plain
 *   a key that begins with '$'           gets one more '$' in front
 *   a key that holds NUL                 "$key:" and the key in base64, because jansson refuses NUL in keys
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <dunlin/doc.h>

#include <jansson.h>
#include <stdio.h>

/* Reading flags for jansson. */
#define JSON_FLAGS (JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY)

/* ---- From documents ----------------------------------------------------------------------------------------- */

enum json_texts {
  TEXTS_PLAIN,
  TEXTS_TAGGED, /* a text is {"$text": string}, so that it can be told from a string; never printed */
  TEXTS_MARKED, /* one with marks is {"$text": string, "$marks": [{"from", "to", "marks"}]}; never read */
};
/* A value of the document with everything in it; NULL when out of memory or deeper than documents get. */
json_t *json_from_value(const dunlin_doc *doc, const struct dunlin_value *value, enum json_texts texts);
/* Replaces the tags of TEXTS_TAGGED by plain strings, in a new tree. */
json_t *json_untagged(const json_t *tree);

/* The JSON form of a key, and back; NULL when out of memory, or when it is not the form of any key. `*len` is set. */
char *json_key_from(const void *key, size_t len, size_t *json_len);
char *json_key_to(const char *key, size_t len, size_t *key_len);

/* ---- To documents ------------------------------------------------------------------------------------------- */

/* Whether every object in it is one of the forms above: 0, or DUNLIN_EFORMAT with a sentence in `why`. */
int json_check(const json_t *json, struct dunlin_why *why);
/* True for arrays and for objects that stand for maps. */
bool json_is_container(const json_t *json);
/* A scalar that has passed json_check().  Strings borrow from `json`; `*owned` (may be set to NULL) is for free(). */
int json_to_value(const json_t *json, struct dunlin_value *out, void **owned);

/* ---- Printing ----------------------------------------------------------------------------------------------- */

/* Sorted keys, real numbers as short as they can be and still be read back the same; indented by two, or on one line.
 */
void json_print(FILE *out, const json_t *json, bool indented);
/* The one-line form for free(); NULL when out of memory. */
char *json_line(const json_t *json);
/* Equal down to the sign of zero, which json_equal() does not see. */
bool json_same(const json_t *a, const json_t *b);
/* Times as {"$time"} shows them. */
#define JSON_TIME_MAX 40
void json_time_format(int64_t us, char out[JSON_TIME_MAX]);

#endif
