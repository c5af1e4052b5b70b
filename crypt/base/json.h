/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way to read JSON, and the only includer of jansson. Plaintext and private keys never
 * become JSON values (a private JWK is read by crypt/jwk.c's own scanner).
 *
 * json_load() refuses: duplicate member names, depth over JSON_DEPTH_MAX, more than `max` bytes,
 * anything after the value, NUL characters, invalid UTF-8, a top level that is neither object nor
 * array. `what` names the input in errors ("/attest request"), and errors say where (line, column
 * or member).
 */
#pragma once

#include <jansson.h>

#include "crypt/base/buf.h"

#define JSON_DEPTH_MAX 32

/* json_decref wipes what it frees once this has run; secret_init_process calls it. Not after the
 * first JSON value, whose memory would be given back to the wrong allocator. */
void json_init(void);

bool json_load_strict(
    struct bytes text, size_t max, const char *what, json_t **ret_json, struct err *err) MUST_CHECK;
void json_unref(json_t *json);
DEFINE_AUTO(json_t, json_unref);
#define auto_json AUTO(json_unref) json_t

/* Compact text in insertion order; malloc'd (free it as usual), NULL when memory is out. */
char *json_text(const json_t *json);
/* The same, indented by two, for people. */
char *json_text_indented(const json_t *json);
/* RFC 8785 (JCS) for what our protocols carry: objects, arrays, strings, integers within 2^53,
 * true, false, null. A real number is ERR_FORMAT. malloc'd, NUL-terminated. Members are ordered by
 * UTF-16 units. */
bool json_canonical(const json_t *json, char **ret_text, struct err *err) MUST_CHECK;

/*
 * Field tables: a message is decoded once, at the border, into a struct.
 *
 *     static const struct json_field auth_fields[] = {
 *         {"version", JSON_FIELD_TEXT, offsetof(struct auth, version), .max = 32, .required =
 * true},
 *     };
 *
 * JSON_FIELD_TEXT   const char *  borrowed from the json_t; `min`..`max` bytes (max 0 = no own
 * limit) JSON_FIELD_INT    int64_t       within min..max JSON_FIELD_BOOL   bool JSON_FIELD_ANY
 * json_t *      borrowed; any type, null included JSON_FIELD_OBJECT json_t *      borrowed
 * JSON_FIELD_ARRAY  json_t *      borrowed
 * A missing optional member leaves the struct member as it was. `unknown_ok` false: a member that
 * is not in the table is ERR_FORMAT (our own files); true: ignored, and a null for an optional
 * member is as good as none (the CoCo wire messages demand both). When something is refused,
 * ret_struct is as it was.
 */
enum json_field_type {
    JSON_FIELD_TEXT,
    JSON_FIELD_INT,
    JSON_FIELD_BOOL,
    JSON_FIELD_ANY,
    JSON_FIELD_OBJECT,
    JSON_FIELD_ARRAY
};

struct json_field {
    const char *name;
    enum json_field_type type;
    size_t offset;
    int64_t min, max;
    bool required;
};

bool json_decode(const json_t *object, const struct json_field *fields, size_t count,
    bool unknown_ok, const char *what, void *ret_struct, struct err *err) MUST_CHECK;

/* Text of member `name`, or NULL when absent or not text. Borrowed. */
const char *json_member_text(const json_t *object, const char *name);
/* Objects and arrays within each other, the value itself included, are more than `levels`. */
bool json_is_deeper(const json_t *value, int levels);
/* Builds like json_pack. ERR_FORMAT for text that is not UTF-8, ERR_NOMEM, ERR_INTERNAL for a wrong
 * format. */
bool json_build(json_t **ret_json, struct err *err, const char *format, ...) MUST_CHECK;
