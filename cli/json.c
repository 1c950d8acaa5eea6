#include "cli/json.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crdt/msgpack.h"

#define US 1000000 /* microseconds in a second */
#define KEY_TAG "$key:"
#define KEY_TAG_LEN (sizeof KEY_TAG - 1)

/* ---- Times -------------------------------------------------------------------------------------------------- */

/* RFC 3339 for the years that it has, else the number of microseconds. */
static bool time_has_year(int64_t us) {
  const int64_t year_0 = -62167219200, year_10000 = 253402300800; /* seconds */
  return us >= year_0 * US && us < year_10000 * US;
}

void json_time_format(int64_t us, char out[JSON_TIME_MAX]) {
  int64_t fraction = ((us % US) + US) % US;
  time_t seconds = (time_t)(us / US - (us % US < 0)); /* rounded down */
  struct tm tm;
  size_t n = 0;
  if (time_has_year(us) && gmtime_r(&seconds, &tm)) {
    /* "%04d", because strftime's %Y has no leading zeros in glibc. */
    n = (size_t)snprintf(out, JSON_TIME_MAX, "%04d", tm.tm_year + 1900);
    n += strftime(out + n, JSON_TIME_MAX - n, "-%m-%dT%H:%M:%S", &tm);
    if (fraction) n += (size_t)snprintf(out + n, JSON_TIME_MAX - n, ".%06lld", (long long)fraction);
    snprintf(out + n, JSON_TIME_MAX - n, "Z");
  } else {
    snprintf(out, JSON_TIME_MAX, "%lld", (long long)us);
  }
}

/* Accepts what json_time_format() writes, and fewer digits of the fraction. */
static bool time_parse(const char *text, int64_t *us) {
  struct tm tm = {0};
  int used = 0;
  const char *form = "....-..-..T..:..:..";
  for (size_t i = 0; form[i]; i++) {
    if (form[i] == '.' ? text[i] < '0' || text[i] > '9' : text[i] != form[i]) return false;
  }
  if (sscanf(text, "%d-%d-%dT%d:%d:%d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec,
             &used) != 6) {
    return false;
  }
  int64_t fraction = 0;
  const char *at = text + used;
  if (*at == '.') {
    int64_t unit = US;
    for (at++; *at >= '0' && *at <= '9' && unit > 1; at++) fraction += (unit /= 10) * (*at - '0');
    if (unit == US) return false;
  }
  if (strcmp(at, "Z") != 0) return false;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  struct tm wanted = tm; /* timegm() changes the 30th of February into another day */
  int64_t seconds = timegm(&tm);
  if (tm.tm_mday != wanted.tm_mday || tm.tm_mon != wanted.tm_mon || tm.tm_hour != wanted.tm_hour ||
      tm.tm_min != wanted.tm_min || tm.tm_sec != wanted.tm_sec) {
    return false;
  }
  *us = seconds * US + fraction;
  return true;
}

/* ---- Keys --------------------------------------------------------------------------------------------------- */

static char *base64(const void *data, size_t len, const char *prefix) {
  size_t before = strlen(prefix), size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
  char *out = malloc(before + size);
  if (!out) return NULL;
  memcpy(out, prefix, before);
  sodium_bin2base64(out + before, size, data, len, sodium_base64_VARIANT_ORIGINAL);
  return out;
}

/* Bytes for free(), with a NUL behind them; NULL when it is not base64 or out of memory. */
static char *unbase64(const char *text, size_t len, size_t *out_len) {
  char *out = malloc(len / 4 * 3 + 4);
  const char *end = NULL;
  if (!out) return NULL;
  if (sodium_base642bin((unsigned char *)out, len / 4 * 3 + 3, text, len, NULL, out_len, &end,
                        sodium_base64_VARIANT_ORIGINAL) != 0 ||
      end != text + len) {
    free(out);
    return NULL;
  }
  out[*out_len] = 0;
  return out;
}

char *json_key_from(const void *key, size_t len, size_t *json_len) {
  const char *bytes = key;
  char *out = NULL;
  if (len && memchr(bytes, 0, len)) {
    out = base64(bytes, len, KEY_TAG);
    if (out) *json_len = strlen(out);
    return out;
  }
  size_t extra = len && bytes[0] == '$';
  out = malloc(len + extra + 1);
  if (!out) return NULL;
  out[0] = '$';
  if (len) memcpy(out + extra, bytes, len);
  *json_len = len + extra;
  out[*json_len] = 0;
  return out;
}

char *json_key_to(const char *key, size_t len, size_t *key_len) {
  if (len >= KEY_TAG_LEN && memcmp(key, KEY_TAG, KEY_TAG_LEN) == 0) {
    return unbase64(key + KEY_TAG_LEN, len - KEY_TAG_LEN, key_len);
  }
  size_t skip = len && key[0] == '$';
  if (skip && (len < 2 || key[1] != '$')) return NULL;
  char *out = malloc(len - skip + 1);
  if (!out) return NULL;
  memcpy(out, key + skip, len - skip);
  *key_len = len - skip;
  out[*key_len] = 0;
  return out;
}

/* ---- From documents ----------------------------------------------------------------------------------------- */

static json_t *tagged(const char *tag, json_t *content) {
  json_t *out = content ? json_object() : NULL;
  if (!out || json_object_set_new(out, tag, content) != 0) {
    json_decref(out);
    return NULL;
  }
  return out;
}

static json_t *from_float(double v) {
  if (isnan(v)) return tagged("$float", json_string("nan"));
  if (isinf(v)) return tagged("$float", json_string(v > 0 ? "inf" : "-inf"));
  return json_real(v);
}

static json_t *from_bytes(struct dunlin_bytes bytes) {
  char *text = base64(bytes.data, bytes.len, "");
  json_t *out = text ? tagged("$bytes", json_string(text)) : NULL;
  free(text);
  return out;
}

static json_t *from_time(int64_t us) {
  char text[JSON_TIME_MAX];
  json_time_format(us, text);
  return tagged("$time", time_has_year(us) ? json_string(text) : json_integer(us));
}

/* What the characters of a span are marked with. */
static json_t *from_span(const dunlin_doc *doc, dunlin_obj text, const struct dunlin_span *span) {
  json_t *marks = json_object();
  bool ok = marks;
  for (size_t i = 0; ok && i < span->marks; i++) {
    struct dunlin_bytes key;
    struct dunlin_value value;
    size_t len = 0;
    char *name = NULL;
    ok = dunlin_text_span_mark(doc, text, span->from, i, &key, &value) == 0 &&
         (name = json_key_from(key.data, key.len, &len)) &&
         json_object_setn_new(marks, name, len, json_from_value(doc, &value, TEXTS_PLAIN)) == 0;
    free(name);
  }
  if (ok) {
    return json_pack("{s:I, s:I, s:o}", "from", (json_int_t)span->from, "to", (json_int_t)span->to, "marks", marks);
  }
  json_decref(marks);
  return NULL;
}

/* The spans that have marks. */
static json_t *from_marks(const dunlin_doc *doc, dunlin_obj text) {
  json_t *spans = json_array();
  size_t size = dunlin_text_size(doc, text);
  struct dunlin_span span;
  for (size_t at = 0; spans && at < size; at = span.to) {
    if (dunlin_text_span(doc, text, at, &span) != 0 ||
        (span.marks && json_array_append_new(spans, from_span(doc, text, &span)) != 0)) {
      json_decref(spans);
      return NULL;
    }
  }
  return spans;
}

/* The text with its marks, if it has any. */
static json_t *with_marks(const dunlin_doc *doc, dunlin_obj text, json_t *string) {
  json_t *spans = from_marks(doc, text);
  if (spans && !json_array_size(spans)) {
    json_decref(spans);
    return string;
  }
  json_t *out = spans ? tagged("$text", string) : NULL;
  if (out && json_object_set(out, "$marks", spans) != 0) {
    json_decref(out);
    out = NULL;
  }
  json_decref(spans);
  return out;
}

static json_t *from_text(const dunlin_doc *doc, dunlin_obj text, enum json_texts texts) {
  size_t len = dunlin_text_read(doc, text, NULL, 0);
  char *utf8 = malloc(len + 1);
  if (!utf8 || dunlin_text_read(doc, text, utf8, len) != len) {
    free(utf8);
    return NULL;
  }
  json_t *out = json_stringn(utf8, len);
  free(utf8);
  if (texts == TEXTS_MARKED) return with_marks(doc, text, out);
  return texts == TEXTS_TAGGED ? tagged("$text", out) : out;
}

static json_t *from_value(const dunlin_doc *doc, const struct dunlin_value *value, enum json_texts texts,
                          unsigned depth);

static json_t *from_map(const dunlin_doc *doc, dunlin_obj map, enum json_texts texts, unsigned depth) {
  json_t *out = json_object();
  size_t size = dunlin_map_size(doc, map);
  for (size_t i = 0; out && i < size; i++) {
    struct dunlin_bytes key;
    struct dunlin_value value;
    size_t len = 0;
    char *name = NULL;
    bool ok = dunlin_map_at(doc, map, i, &key, &value) == 0 && (name = json_key_from(key.data, key.len, &len)) &&
              json_object_setn_new(out, name, len, from_value(doc, &value, texts, depth + 1)) == 0;
    free(name);
    if (!ok) {
      json_decref(out);
      return NULL;
    }
  }
  return out;
}

static json_t *from_list(const dunlin_doc *doc, dunlin_obj list, enum json_texts texts, unsigned depth) {
  json_t *out = json_array();
  size_t size = dunlin_list_size(doc, list);
  for (size_t i = 0; out && i < size; i++) {
    struct dunlin_value value;
    if (dunlin_list_get(doc, list, i, &value) != 0 ||
        json_array_append_new(out, from_value(doc, &value, texts, depth + 1)) != 0) {
      json_decref(out);
      return NULL;
    }
  }
  return out;
}

static json_t *from_counter(const dunlin_doc *doc, dunlin_obj counter) {
  int64_t v = 0;
  return dunlin_counter_get(doc, counter, &v) == 0 ? json_integer(v) : NULL;
}

/* What a max, min or first shows; null while it is empty. */
static json_t *from_offered(const dunlin_doc *doc, dunlin_obj obj, enum json_texts texts, unsigned depth) {
  struct dunlin_value value = {.kind = DUNLIN_NULL};
  int rc = dunlin_offered(doc, obj, &value);
  return rc == 0 || rc == DUNLIN_ENOENT ? from_value(doc, &value, texts, depth + 1) : NULL;
}

static json_t *from_set(const dunlin_doc *doc, dunlin_obj set, enum json_texts texts, unsigned depth) {
  json_t *out = json_array();
  size_t size = dunlin_set_size(doc, set);
  for (size_t i = 0; out && i < size; i++) {
    struct dunlin_value value;
    if (dunlin_set_at(doc, set, i, &value) != 0 ||
        json_array_append_new(out, from_value(doc, &value, texts, depth + 1)) != 0) {
      json_decref(out);
      return NULL;
    }
  }
  return out;
}

static json_t *from_value(const dunlin_doc *doc, const struct dunlin_value *value, enum json_texts texts,
                          unsigned depth) {
  if (depth > DUNLIN_MAX_DEPTH + 1) return NULL;
  switch (value->kind) {
    case DUNLIN_NULL: return json_null();
    case DUNLIN_BOOL: return json_boolean(value->as.boolean);
    case DUNLIN_INT: return json_integer(value->as.integer);
    case DUNLIN_FLOAT: return from_float(value->as.real);
    case DUNLIN_STRING: return json_stringn(value->as.string.len ? value->as.string.data : "", value->as.string.len);
    case DUNLIN_BYTES: return from_bytes(value->as.string);
    case DUNLIN_TIME: return from_time(value->as.time);
    case DUNLIN_MAP: return from_map(doc, value->as.obj, texts, depth);
    case DUNLIN_LIST: return from_list(doc, value->as.obj, texts, depth);
    case DUNLIN_TEXT: return from_text(doc, value->as.obj, texts);
    case DUNLIN_COUNTER: return from_counter(doc, value->as.obj);
    case DUNLIN_MAX:
    case DUNLIN_MIN:
    case DUNLIN_FIRST: return from_offered(doc, value->as.obj, texts, depth);
    case DUNLIN_SET:
    case DUNLIN_GROWING_SET: return from_set(doc, value->as.obj, texts, depth);
  }
  return NULL;
}

json_t *json_from_value(const dunlin_doc *doc, const struct dunlin_value *value, enum json_texts texts) {
  return from_value(doc, value, texts, 0);
}

json_t *json_untagged(const json_t *tree) {
  if (json_is_array(tree)) {
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(tree); i++)
      json_array_append_new(out, json_untagged(json_array_get(tree, i)));
    return out;
  }
  if (!json_is_object(tree)) return json_deep_copy(tree);
  json_t *text = json_object_get(tree, "$text");
  if (text) return json_deep_copy(text);
  json_t *out = json_object();
  for (void *it = json_object_iter((json_t *)tree); it; it = json_object_iter_next((json_t *)tree, it)) {
    json_object_setn_new(out, json_object_iter_key(it), json_object_iter_key_len(it),
                         json_untagged(json_object_iter_value(it)));
  }
  return out;
}

/* ---- To documents ------------------------------------------------------------------------------------------- */

/* The content of a {"$...": content} that stands for a scalar, with its tag; NULL for anything else. */
static json_t *scalar_form(const json_t *json, const char **tag) {
  if (!json_is_object(json) || json_object_size(json) != 1) return NULL;
  void *it = json_object_iter((json_t *)json);
  *tag = json_object_iter_key(it);
  if (strcmp(*tag, "$bytes") != 0 && strcmp(*tag, "$time") != 0 && strcmp(*tag, "$float") != 0) return NULL;
  return json_object_iter_value(it);
}

bool json_is_container(const json_t *json) {
  const char *tag;
  return json_is_array(json) || (json_is_object(json) && !scalar_form(json, &tag));
}

static int scalar_form_value(const char *tag, const json_t *content, struct dunlin_value *out, void **owned) {
  if (strcmp(tag, "$time") == 0) {
    out->kind = DUNLIN_TIME;
    out->as.time = json_integer_value(content);
    if (json_is_integer(content)) return 0;
    return json_is_string(content) && time_parse(json_string_value(content), &out->as.time) ? 0 : DUNLIN_EFORMAT;
  }
  if (!json_is_string(content)) return DUNLIN_EFORMAT;
  const char *text = json_string_value(content);
  if (strcmp(tag, "$float") == 0) {
    out->kind = DUNLIN_FLOAT;
    out->as.real = strcmp(text, "nan") == 0 ? NAN : strcmp(text, "inf") == 0 ? INFINITY : -INFINITY;
    return !isinf(out->as.real) || out->as.real > 0 || strcmp(text, "-inf") == 0 ? 0 : DUNLIN_EFORMAT;
  }
  out->kind = DUNLIN_BYTES;
  *owned = unbase64(text, json_string_length(content), &out->as.string.len);
  out->as.string.data = *owned;
  return *owned ? 0 : DUNLIN_EFORMAT;
}

int json_to_value(const json_t *json, struct dunlin_value *out, void **owned) {
  *owned = NULL;
  *out = (struct dunlin_value){.kind = DUNLIN_NULL};
  const char *tag;
  const json_t *content = scalar_form(json, &tag);
  if (content) return scalar_form_value(tag, content, out, owned);
  switch (json_typeof(json)) {
    case JSON_TRUE:
    case JSON_FALSE:
      out->kind = DUNLIN_BOOL;
      out->as.boolean = json_is_true(json);
      return 0;
    case JSON_INTEGER:
      out->kind = DUNLIN_INT;
      out->as.integer = json_integer_value(json);
      return 0;
    case JSON_REAL:
      out->kind = DUNLIN_FLOAT;
      out->as.real = json_real_value(json);
      return 0;
    case JSON_STRING:
      out->kind = DUNLIN_STRING;
      out->as.string = (struct dunlin_bytes){json_string_value(json), json_string_length(json)};
      return 0;
    case JSON_NULL: return 0;
    default: return DUNLIN_EINVAL; /* a container */
  }
}

static int check(const json_t *json, unsigned depth, struct dunlin_why *why);

static int check_object(json_t *json, unsigned depth, struct dunlin_why *why) {
  for (void *it = json_object_iter(json); it; it = json_object_iter_next(json, it)) {
    const char *key = json_object_iter_key(it);
    size_t len = 0;
    char *name = json_key_to(key, json_object_iter_key_len(it), &len);
    bool valid = name && utf8_valid(name, len, NULL); /* base64 may hold anything */
    free(name);
    if (!valid) {
      snprintf(why->text, sizeof why->text,
               "\"%.64s\" is not a form that dunlin knows; for a key that begins with $ write $$", key);
      return DUNLIN_EFORMAT;
    }
    int rc = check(json_object_iter_value(it), depth + 1, why);
    if (rc) return rc;
  }
  return 0;
}

static int check(const json_t *json, unsigned depth, struct dunlin_why *why) {
  const char *tag;
  const json_t *content = scalar_form(json, &tag);
  if (content) {
    struct dunlin_value value;
    void *owned = NULL;
    int rc = scalar_form_value(tag, content, &value, &owned);
    free(owned);
    if (rc) snprintf(why->text, sizeof why->text, "what stands in a \"%s\" is malformed", tag);
    return rc;
  }
  if (depth > DUNLIN_MAX_DEPTH) {
    snprintf(why->text, sizeof why->text, "it is nested deeper than %u", DUNLIN_MAX_DEPTH);
    return DUNLIN_ELIMIT;
  }
  if (json_is_object(json)) return check_object((json_t *)json, depth, why);
  int rc = 0;
  for (size_t i = 0; !rc && i < json_array_size(json); i++) rc = check(json_array_get(json, i), depth + 1, why);
  return rc;
}

int json_check(const json_t *json, struct dunlin_why *why) {
  return check(json, 0, why);
}

/* ---- Printing ----------------------------------------------------------------------------------------------- */

/* jansson has one precision for a whole dump, and its default shows 0.1 as 0.10000000000000001. */
static void print_real(FILE *out, const json_t *json) {
  char text[64];
  for (unsigned precision = 1; precision <= 17; precision++) {
    size_t n = json_dumpb(json, text, sizeof text - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(precision));
    if (n == 0 || n >= sizeof text) return;
    text[n] = 0;
    if (strtod(text, NULL) == json_real_value(json)) break;
  }
  fputs(text, out);
}

static void print_break(FILE *out, bool indented, unsigned depth) {
  if (indented) fprintf(out, "\n%*s", (int)depth * 2, "");
}

struct member {
  const char *key;
  size_t len;
  const json_t *value;
};

static int member_compare(const void *a, const void *b) {
  const struct member *x = a, *y = b;
  int order = memcmp(x->key, y->key, x->len < y->len ? x->len : y->len);
  return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* The members in the order of their keys, for free(). */
static struct member *sorted_members(const json_t *object) {
  struct member *members = malloc((json_object_size(object) + 1) * sizeof *members);
  size_t n = 0;
  if (!members) return NULL;
  for (void *it = json_object_iter((json_t *)object); it; it = json_object_iter_next((json_t *)object, it)) {
    members[n++] = (struct member){json_object_iter_key(it), json_object_iter_key_len(it), json_object_iter_value(it)};
  }
  qsort(members, n, sizeof *members, member_compare);
  return members;
}

static void print(FILE *out, const json_t *json, bool indented, unsigned depth);

static void print_object(FILE *out, const json_t *json, bool indented, unsigned depth) {
  size_t size = json_object_size(json);
  struct member *members = sorted_members(json);
  if (!members) return;
  putc('{', out);
  for (size_t i = 0; i < size; i++) {
    json_t *key = json_stringn_nocheck(members[i].key, members[i].len);
    if (i) fputs(indented ? "," : ", ", out);
    print_break(out, indented, depth + 1);
    json_dumpf(key, out, JSON_ENCODE_ANY);
    fputs(": ", out);
    print(out, members[i].value, indented, depth + 1);
    json_decref(key);
  }
  if (size) print_break(out, indented, depth);
  putc('}', out);
  free(members);
}

static void print(FILE *out, const json_t *json, bool indented, unsigned depth) {
  if (json_is_real(json)) {
    print_real(out, json);
  } else if (json_is_object(json)) {
    print_object(out, json, indented, depth);
  } else if (json_is_array(json)) {
    putc('[', out);
    for (size_t i = 0; i < json_array_size(json); i++) {
      if (i) fputs(indented ? "," : ", ", out);
      print_break(out, indented, depth + 1);
      print(out, json_array_get(json, i), indented, depth + 1);
    }
    if (json_array_size(json)) print_break(out, indented, depth);
    putc(']', out);
  } else {
    json_dumpf(json, out, JSON_ENCODE_ANY);
  }
}

void json_print(FILE *out, const json_t *json, bool indented) {
  print(out, json, indented, 0);
}

char *json_line(const json_t *json) {
  char *text = NULL;
  size_t len = 0;
  FILE *out = open_memstream(&text, &len);
  if (!out) return NULL;
  json_print(out, json, false);
  if (fclose(out) == 0) return text;
  free(text);
  return NULL;
}

bool json_same(const json_t *a, const json_t *b) {
  char *x = json_line(a), *y = json_line(b);
  bool same = x && y && strcmp(x, y) == 0; /* no NUL in there: JSON escapes it */
  free(x);
  free(y);
  return same;
}
