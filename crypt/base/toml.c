/* SPDX-License-Identifier: Apache-2.0 */
/* TOML 1.0.0: documents, tables, keys, arrays. */
#include "crypt/base/toml_reader.h"
#include "crypt/base/utf8.h"

#define KEY_MAX 1024

bool toml_fail(struct toml_reader *reader, const char *problem)
{
    unsigned line = 1;
    for (const char *at = reader->begin; at < reader->at; at++)
        line += *at == '\n';
    return err_set(reader->err, ERR_FORMAT, "%s: line %u: %s", reader->what, line, problem);
}

void toml_skip_blanks(struct toml_reader *reader)
{
    reader->at += strspn(reader->at, " \t");
}

static bool skip_comment(struct toml_reader *reader)
{
    if (*reader->at != '#')
        return true;
    for (; *reader->at && *reader->at != '\n'; reader->at++) {
        unsigned char c = (unsigned char)*reader->at;
        bool ends = c == '\r' && reader->at[1] == '\n';
        if ((c < 0x20 && c != '\t' && !ends) || c == 0x7f)
            return toml_fail(reader, "a control character in a comment");
    }
    return true;
}

static bool at_newline(const struct toml_reader *reader)
{
    return *reader->at == '\n' || (reader->at[0] == '\r' && reader->at[1] == '\n');
}

bool toml_skip_lines(struct toml_reader *reader)
{
    for (;;) {
        toml_skip_blanks(reader);
        if (!skip_comment(reader))
            return false;
        if (!at_newline(reader))
            return true;
        reader->at += *reader->at == '\r' ? 2 : 1;
    }
}

/* -- who made a table -------------------------------------------------------------------------- */

static bool mark(struct toml_reader *reader, const json_t *value, enum toml_kind kind)
{
    if (reader->mark_count == TOML_TABLES_MAX)
        return toml_fail(reader, "more tables than are taken");
    reader->marks[reader->mark_count].value = value;
    reader->marks[reader->mark_count++].kind = kind;
    return true;
}

/* NULL: no table or array of tables (the arrays of values are not marked). */
static enum toml_kind *find_mark(struct toml_reader *reader, const json_t *value)
{
    for (size_t i = reader->mark_count; i-- > 0;)
        if (reader->marks[i].value == value)
            return &reader->marks[i].kind;
    return NULL;
}

static bool add_table(struct toml_reader *reader, json_t *parent, const char *key,
    enum toml_kind kind, json_t **ret_table)
{
    json_t *table = json_object();
    if (json_object_set_new(parent, key, table) != 0)
        return err_nomem(reader->err);
    *ret_table = table;
    return mark(reader, table, kind);
}

static bool add_row(struct toml_reader *reader, json_t *list, json_t **ret_table)
{
    json_t *table = json_object();
    if (json_array_append_new(list, table) != 0)
        return err_nomem(reader->err);
    *ret_table = table;
    return mark(reader, table, TOML_HEADER);
}

/* -- keys -------------------------------------------------------------------------------------- */

static bool read_key_part(struct toml_reader *reader, struct buf *part)
{
    static const char bare[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t len = strspn(reader->at, bare);
    buf_truncate(part, 0);
    if (*reader->at == '"' || *reader->at == '\'')
        return toml_line_string(reader, part);
    if (len == 0)
        return toml_fail(reader, "no key where one must stand");
    if (!buf_append(part, bytes_of(reader->at, len), reader->err))
        return false;
    reader->at += len;
    return true;
}

/* Into the table `key` of *table on the way to another: a header may pass any but an inline one, a dotted key only what dotted keys
 * made. */
static bool descend(
    struct toml_reader *reader, enum toml_kind making, const char *key, json_t **table)
{
    json_t *next = json_object_get(*table, key);
    if (!next)
        return add_table(reader, *table, key, making, table);
    const enum toml_kind *kind = find_mark(reader, next);
    bool passes = kind && (making == TOML_DOTTED ? *kind == TOML_DOTTED : *kind != TOML_INLINE);
    if (!passes)
        return toml_fail(reader, "a key leads into what is no table, or one that is closed");
    *table = *kind == TOML_ROW_LIST ? json_array_get(next, json_array_size(next) - 1) : next;
    return true;
}

/* a.b.c: makes or finds the tables a and b under *table; `last` becomes c. */
static bool read_key(
    struct toml_reader *reader, enum toml_kind making, json_t **table, struct buf *last)
{
    for (int depth = 0; depth < TOML_DEPTH_MAX; depth++) {
        if (!read_key_part(reader, last))
            return false;
        toml_skip_blanks(reader);
        if (*reader->at != '.')
            return true;
        reader->at++;
        toml_skip_blanks(reader);
        if (!descend(reader, making, buf_text(last), table))
            return false;
    }
    return toml_fail(reader, "a key of more parts than are taken");
}

/* -- values ------------------------------------------------------------------------------------ */

static bool read_value(struct toml_reader *reader, int depth, json_t **ret_value);

static bool read_pair(struct toml_reader *reader, json_t *table, int depth)
{
    auto_buf key = BUF_INIT(KEY_MAX);
    auto_json *value = NULL;
    if (!read_key(reader, TOML_DOTTED, &table, &key))
        return false;
    if (json_object_get(table, buf_text(&key)))
        return toml_fail(reader, "a key that is given twice");
    if (*reader->at != '=')
        return toml_fail(reader, "no '=' after a key");
    reader->at++;
    toml_skip_blanks(reader);
    if (!read_value(reader, depth, &value))
        return false;
    return json_object_set(table, buf_text(&key), value) == 0 || err_nomem(reader->err);
}

/* Ends of lines and a comma behind the last value are taken. */
static bool read_array(struct toml_reader *reader, int depth, json_t **ret_value)
{
    auto_json *array = json_array();
    if (!array)
        return err_nomem(reader->err);
    reader->at++;
    for (bool more = true;; more = false) {
        auto_json *value = NULL;
        if (!toml_skip_lines(reader))
            return false;
        if (*reader->at == ',' && !more) {
            reader->at++;
            more = true;
            if (!toml_skip_lines(reader))
                return false;
        }
        if (*reader->at == ']')
            break;
        if (!more)
            return toml_fail(reader, "no ',' or ']' after a value of an array");
        if (!read_value(reader, depth, &value))
            return false;
        if (json_array_append(array, value) != 0)
            return err_nomem(reader->err);
    }
    reader->at++;
    *ret_value = take_ptr(array);
    return true;
}

/* On one line, and without a comma behind the last pair. */
static bool read_inline_table(struct toml_reader *reader, int depth, json_t **ret_value)
{
    auto_json *table = json_object();
    if (!table)
        return err_nomem(reader->err);
    reader->at++;
    toml_skip_blanks(reader);
    if (*reader->at != '}') {
        for (;;) {
            if (!read_pair(reader, table, depth))
                return false;
            toml_skip_blanks(reader);
            if (*reader->at != ',')
                break;
            reader->at++;
            toml_skip_blanks(reader);
        }
    }
    if (*reader->at != '}')
        return toml_fail(reader, "an inline table without its '}'");
    reader->at++;
    if (!mark(reader, table, TOML_INLINE))
        return false;
    *ret_value = take_ptr(table);
    return true;
}

static bool read_value(struct toml_reader *reader, int depth, json_t **ret_value)
{
    if (depth == TOML_DEPTH_MAX)
        return toml_fail(reader, "values nested deeper than is taken");
    if (*reader->at == '[')
        return read_array(reader, depth + 1, ret_value);
    if (*reader->at == '{')
        return read_inline_table(reader, depth + 1, ret_value);
    return toml_scalar(reader, ret_value);
}

/* -- headers ----------------------------------------------------------------------------------- */

static bool open_row(
    struct toml_reader *reader, json_t *parent, const char *key, json_t **ret_table)
{
    json_t *list = json_object_get(parent, key);
    if (!list) {
        list = json_array();
        if (json_object_set_new(parent, key, list) != 0)
            return err_nomem(reader->err);
        return mark(reader, list, TOML_ROW_LIST) && add_row(reader, list, ret_table);
    }
    const enum toml_kind *kind = find_mark(reader, list);
    if (!kind || *kind != TOML_ROW_LIST)
        return toml_fail(reader, "a table is added to what is no array of tables");
    return add_row(reader, list, ret_table);
}

static bool open_table(
    struct toml_reader *reader, json_t *parent, const char *key, json_t **ret_table)
{
    json_t *table = json_object_get(parent, key);
    if (!table)
        return add_table(reader, parent, key, TOML_HEADER, ret_table);
    enum toml_kind *kind = find_mark(reader, table);
    if (!kind || *kind != TOML_IMPLIED)
        return toml_fail(reader, "a table that is given twice");
    *kind = TOML_HEADER;
    *ret_table = table;
    return true;
}

static bool read_header(struct toml_reader *reader, json_t *root, json_t **ret_table)
{
    auto_buf key = BUF_INIT(KEY_MAX);
    size_t brackets = reader->at[1] == '[' ? 2 : 1;
    json_t *parent = root;
    reader->at += brackets;
    toml_skip_blanks(reader);
    if (!read_key(reader, TOML_IMPLIED, &parent, &key))
        return false;
    if (strncmp(reader->at, "]]", brackets) != 0)
        return toml_fail(reader, "a table's header without its end");
    reader->at += brackets;
    return brackets == 2 ? open_row(reader, parent, buf_text(&key), ret_table)
                         : open_table(reader, parent, buf_text(&key), ret_table);
}

/* -- documents --------------------------------------------------------------------------------- */

static bool read_document(struct toml_reader *reader, json_t *root)
{
    json_t *table = root;
    for (;;) {
        if (!toml_skip_lines(reader))
            return false;
        if (!*reader->at)
            return true;
        bool done =
            *reader->at == '[' ? read_header(reader, root, &table) : read_pair(reader, table, 0);
        if (!done)
            return false;
        toml_skip_blanks(reader);
        if (!skip_comment(reader))
            return false;
        if (*reader->at && !at_newline(reader))
            return toml_fail(reader, "more on a line after its value");
    }
}

bool toml_load(struct bytes text, size_t max, const char *what, json_t **ret_json, struct err *err)
{
    auto_buf copy = BUF_INIT(max);
    auto_json *root = json_object();
    auto_free struct toml_reader *reader = calloc(1, sizeof *reader);
    if (!root || !reader)
        return err_nomem(err);
    if (text.len > max)
        return err_set(
            err, ERR_FORMAT, "%s: %zu bytes of TOML; at most %zu are taken", what, text.len, max);
    if (!utf8_valid(text) || memchr(text.data ? text.data : (const uint8_t *)"", '\0', text.len))
        return err_set(err, ERR_FORMAT, "%s: not UTF-8 text without NUL, as TOML is", what);
    if (!buf_append(&copy, text, err))
        return false;
    reader->begin = reader->at = buf_text(&copy);
    reader->what = what;
    reader->err = err;
    if (!read_document(reader, root))
        return false;
    /* Headers, dotted keys and values each have a limit; this is that of all together. */
    if (json_is_deeper(root, TOML_DEPTH_MAX))
        return err_set(
            err, ERR_FORMAT, "%s: tables nested deeper than %d levels", what, TOML_DEPTH_MAX);
    *ret_json = take_ptr(root);
    return true;
}
