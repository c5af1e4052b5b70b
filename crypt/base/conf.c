/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/conf.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "crypt/base/conf_private.h"
#include "crypt/base/conf_value.h"
#include "crypt/base/utf8.h"

#define BLANKS " \t\r"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
#define LABEL_SIZE      (CONF_NAME_MAX + 64)

/* Where assignments go: the plain sections all at once, or one item of a repeated one. */
struct scope {
    const struct conf_section *section; /* NULL: the plain ones */
    const struct conf_field *fields;
    size_t count;
    size_t item;
    bool *seen; /* one a field: set by this file */
};

/* What one reading of a file knows; also the stream that libinih reads its lines from. */
struct reading {
    const struct conf_table *table;
    void *out;
    struct scope plain, item, *now; /* `now` is NULL before the first section */
    char label[LABEL_SIZE];         /* of the section that is read */
    const char *name;
    struct bytes rest;
    unsigned line;
    struct err *err;
    bool failed;
};

static bool refuse_line(struct reading *reading, const char *what)
{
    reading->failed = true;
    return err_set(reading->err, ERR_CONFIG, "%s:%u: %s", reading->name, reading->line, what);
}

/* -- finding fields ---------------------------------------------------------------------------- */

bool conf_section_exists(const struct conf_field *fields, size_t count, struct bytes section)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_equal(bytes_str(fields[i].section), section))
            return true;
    return false;
}

/* "a, b, c": the keys of `section`, or with NULL the sections. */
static void list_known(
    const struct conf_field *fields, size_t count, const char *section, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && len < size; i++) {
        if (section ? strcmp(fields[i].section, section) != 0
                    : conf_section_exists(fields, i, bytes_str(fields[i].section)))
            continue;
        len += (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "",
            section ? fields[i].key : fields[i].section);
    }
}

static const struct conf_field *find_field(
    const struct conf_field *fields, size_t count, const char *section, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].section, section) == 0 && strcmp(fields[i].key, key) == 0)
            return &fields[i];
    return NULL;
}

/* -- items of repeated sections ------------------------------------------------------------------- */

struct items {
    char *items;
    size_t count;
};

static struct items *items_of(void *out, const struct conf_section *section)
{
    return (struct items *)((char *)out + section->offset);
}

static void *item_at(void *out, const struct conf_section *section, size_t index)
{
    return items_of(out, section)->items + index * section->size;
}

static char *name_of(void *item)
{
    return *(char **)item;
}

static void item_free(void *item, const struct conf_section *section)
{
    conf_done(item, section->fields, section->field_count);
    free(name_of(item));
}

static bool check_required(
    struct reading *reading, const struct scope *scope, const char *label, struct err *err)
{
    for (size_t i = 0; i < scope->count; i++) {
        const struct conf_field *field = &scope->fields[i];
        if (field->required && !field->text_default && !scope->seen[i])
            return err_set(err, ERR_CONFIG, "%s: %s.%s: missing; it must be set (%s)",
                reading->name, label ? label : field->section, field->key, field->help);
    }
    return true;
}

/* The next section begins, or the file ends: has the item all that it must have? */
static bool finish_item(struct reading *reading)
{
    char label[LABEL_SIZE];
    struct scope *scope = &reading->item;
    if (!scope->section)
        return true;
    snprintf(label, sizeof label, "%s:%s", scope->section->kind,
        name_of(item_at(reading->out, scope->section, scope->item)));
    reading->failed = !check_required(reading, scope, label, reading->err);
    free(scope->seen);
    *scope = (struct scope){0};
    return !reading->failed;
}

/* -- lines ------------------------------------------------------------------------------------- */

static void list_sections(const struct conf_table *table, char *out, size_t size)
{
    list_known(table->fields, table->field_count, NULL, out, size);
    for (size_t i = 0; i < table->section_count; i++) {
        size_t len = strlen(out);
        snprintf(out + len, size - len, "%s%s:NAME", len ? ", " : "", table->sections[i].kind);
    }
}

static bool refuse_section(struct reading *reading, struct bytes section)
{
    char known[256], text[400];
    list_sections(reading->table, known, sizeof known);
    snprintf(text, sizeof text, "unknown section [%.*s]; known: %s",
        (int)(section.len < 60 ? section.len : 60), (const char *)section.data, known);
    return refuse_line(reading, text);
}

static const struct conf_section *find_section(const struct conf_table *table, struct bytes kind)
{
    for (size_t i = 0; i < table->section_count; i++)
        if (bytes_equal(bytes_str(table->sections[i].kind), kind))
            return &table->sections[i];
    return NULL;
}

/* "[kind:NAME]": the item that the following lines are about. */
static bool start_item(
    struct reading *reading, const struct conf_section *section, struct bytes name)
{
    char text[CONF_NAME_MAX + 1];
    void *item;
    if (!finish_item(reading))
        return false;
    size_t len = name.len < sizeof text ? name.len : sizeof text - 1;
    if (len > 0)
        memcpy(text, name.data, len);
    text[len] = '\0';
    if (name.len > CONF_NAME_MAX)
        return refuse_line(reading, "name of a section of more than 64 characters");
    auto_free bool *seen = calloc(section->field_count + 1, sizeof *seen);
    if (!seen)
        return !(reading->failed = !err_nomem(reading->err));
    if (!conf_table_add(reading->out, reading->table, section->kind, text, &item, reading->err)) {
        reading->failed = true;
        return err_wrap(reading->err, "%s:%u", reading->name, reading->line);
    }
    reading->item = (struct scope){.section = section,
        .fields = section->fields,
        .count = section->field_count,
        .item = items_of(reading->out, section)->count - 1,
        .seen = take_ptr(seen)};
    reading->now = &reading->item;
    return true;
}

static bool check_section_line(struct reading *reading, struct bytes line)
{
    if (line.data[line.len - 1] != ']')
        return refuse_line(reading, "a section line is [name] and nothing more");
    struct bytes section = bytes_slice(line, 1, line.len - 2);
    snprintf(reading->label, sizeof reading->label, "%.*s", (int)section.len,
        section.len ? (const char *)section.data : "");
    const uint8_t *colon = section.len > 0 ? memchr(section.data, ':', section.len) : NULL;
    size_t kind_len = colon ? (size_t)(colon - section.data) : 0;
    const struct conf_section *kind =
        colon ? find_section(reading->table, bytes_slice(section, 0, kind_len)) : NULL;
    if (kind)
        return start_item(
            reading, kind, bytes_slice(section, kind_len + 1, section.len - kind_len - 1));
    if (!conf_section_exists(reading->table->fields, reading->table->field_count, section))
        return refuse_section(reading, section);
    if (!finish_item(reading))
        return false;
    reading->now = &reading->plain;
    return true;
}

/*
 * What libinih would take in its own way is refused before it sees it: indented lines (a
 * continuation of the value above), " ;" (the start of a comment in the middle of a line, unlike "
 * #") and text after a section name (dropped).
 */
static bool check_line(struct reading *reading, struct bytes line, size_t longest)
{
    if (line.len > longest) {
        char text[128];
        snprintf(text, sizeof text,
            "line of %zu bytes; at most %zu are read, put a longer value into a file of its own",
            line.len, longest);
        return refuse_line(reading, text);
    }
    if (memchr(line.data, '\0', line.len))
        return refuse_line(reading, "NUL character; a configuration file is text");
    if (!utf8_valid(line))
        return refuse_line(reading, "not valid UTF-8");
    while (line.len > 0 && strchr(BLANKS, line.data[line.len - 1]))
        line.len--;
    if (line.len == 0 || line.data[0] == ';' || line.data[0] == '#')
        return true;
    if (strchr(BLANKS, line.data[0]))
        return refuse_line(reading,
            "indented line; a value stands on one line and keys start in the first column");
    if (line.data[0] == '[')
        return check_section_line(reading, line);
    for (size_t i = 1; i < line.len; i++)
        if ((line.data[i] == ';' || line.data[i] == '#') && strchr(BLANKS, line.data[i - 1]))
            return refuse_line(reading, "comment behind a value; put it on a line of its own");
    return true;
}

/* libinih's reader, like fgets: it ends the file at the first line that is refused. */
static char *next_line(char *out, int size, void *stream)
{
    struct reading *reading = stream;
    if (reading->failed || reading->rest.len == 0)
        return NULL;
    const uint8_t *newline = memchr(reading->rest.data, '\n', reading->rest.len);
    size_t len = newline ? (size_t)(newline - reading->rest.data) : reading->rest.len;
    struct bytes line = bytes_slice(reading->rest, 0, len);
    reading->line++;
    if (!check_line(reading, line, (size_t)size - 2))
        return NULL;
    memcpy(out, line.data, line.len);
    out[line.len] = '\n';
    out[line.len + 1] = '\0';
    reading->rest = bytes_slice(reading->rest, len + 1, reading->rest.len);
    return out;
}

/* libinih cuts long names of sections, so ours counts and not what it says. */
static int take_assignment(void *user, const char *section, const char *key, const char *value)
{
    struct reading *reading = user;
    char known[300], where[300];
    (void)section;
    if (reading->failed)
        return 1;
    const struct scope *scope = reading->now;
    if (!scope)
        return refuse_line(reading, "key before the first [section]");
    const char *kind = scope->section ? scope->section->kind : reading->label;
    const struct conf_field *field = find_field(scope->fields, scope->count, kind, key);
    snprintf(where, sizeof where, "%s:%u", reading->name, reading->line);
    if (!field) {
        list_known(scope->fields, scope->count, kind, known, sizeof known);
        reading->failed = true;
        return err_set(reading->err, ERR_CONFIG, "%s: %s.%s: unknown key; known in [%s]: %s", where,
            reading->label, key, reading->label, known);
    }
    bool *seen = &scope->seen[field - scope->fields];
    if (*seen && field->type != CONF_LIST) {
        reading->failed = true;
        return err_set(reading->err, ERR_CONFIG, "%s: %s.%s: given twice; remove one", where,
            reading->label, key);
    }
    void *out = scope->section ? item_at(reading->out, scope->section, scope->item) : reading->out;
    reading->failed = !conf_value_set(field, out, where, value, *seen, reading->err);
    *seen = true;
    return !reading->failed;
}

/* -- loading ----------------------------------------------------------------------------------- */

/* The struct may be uninitialised memory: nothing in it is ours to free yet. */
static void clear_all(const struct conf_field *fields, size_t count, void *out)
{
    for (size_t i = 0; i < count; i++)
        conf_value_clear(&fields[i], out);
}

static bool set_default(const struct conf_field *field, void *out, struct err *err)
{
    if (!field->text_default) {
        if (field->unset != 0)
            memcpy((char *)out + field->offset, &field->unset, sizeof field->unset);
        return true;
    }
    if (conf_value_set(field, out, "built-in default", field->text_default, false, err))
        return true;
    err->code = err->code == ERR_CONFIG ? ERR_INTERNAL : err->code;
    return false;
}

static bool set_defaults(const struct conf_field *fields, size_t count, void *out, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!set_default(&fields[i], out, err))
            return false;
    return true;
}

static bool read_text(struct reading *reading, struct err *err)
{
    int bad_line = ini_parse_stream(next_line, reading, take_assignment, reading);
    if (reading->failed)
        return false;
    if (bad_line < 0)
        return err_nomem(err);
    if (bad_line > 0) {
        reading->line = (unsigned)bad_line;
        return refuse_line(reading, "neither [section], nor key = value, nor a comment");
    }
    return finish_item(reading) && check_required(reading, &reading->plain, NULL, err);
}

static void clear_table(const struct conf_table *table, void *out)
{
    clear_all(table->fields, table->field_count, out);
    for (size_t i = 0; i < table->section_count; i++)
        *items_of(out, &table->sections[i]) = (struct items){NULL, 0};
}

bool conf_table_parse(const char *text, size_t len, const char *name,
    const struct conf_table *table, void *ret_out, struct err *err)
{
    clear_table(table, ret_out);
    auto_free bool *seen = calloc(table->field_count + 1, sizeof *seen);
    if (!seen)
        return err_nomem(err);
    struct reading reading = {.table = table,
        .out = ret_out,
        .plain = {.fields = table->fields, .count = table->field_count, .seen = seen},
        .name = name,
        .rest = bytes_of(text, len),
        .err = err};
    bool done =
        set_defaults(table->fields, table->field_count, ret_out, err) && read_text(&reading, err);
    free(reading.item.seen);
    if (!done)
        conf_table_done(ret_out, table);
    return done;
}

bool conf_parse(const char *text, size_t len, const char *name, const struct conf_field *fields,
    size_t count, void *ret_out, struct err *err)
{
    const struct conf_table table = {.fields = fields, .field_count = count};
    return conf_table_parse(text, len, name, &table, ret_out, err);
}

bool conf_table_load(
    const char *path, const struct conf_table *table, void *ret_out, struct err *err)
{
    auto_buf text = BUF_INIT(CONF_FILE_MAX);
    clear_table(table, ret_out);
    if (path)
        return conf_file_text(path, &text, err) &&
               conf_table_parse(buf_text(&text), text.len, path, table, ret_out, err);
    if (set_defaults(table->fields, table->field_count, ret_out, err))
        return true;
    conf_table_done(ret_out, table);
    return false;
}

bool conf_load(
    const char *path, const struct conf_field *fields, size_t count, void *ret_out, struct err *err)
{
    const struct conf_table table = {.fields = fields, .field_count = count};
    return conf_table_load(path, &table, ret_out, err);
}

void conf_done(void *out, const struct conf_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        conf_value_free(&fields[i], out);
}

void conf_table_done(void *out, const struct conf_table *table)
{
    conf_done(out, table->fields, table->field_count);
    for (size_t i = 0; i < table->section_count; i++) {
        const struct conf_section *section = &table->sections[i];
        struct items *items = items_of(out, section);
        for (size_t k = 0; k < items->count; k++)
            item_free(item_at(out, section, k), section);
        free(items->items);
        *items = (struct items){NULL, 0};
    }
}

static bool check_name(
    void *out, const struct conf_section *section, const char *name, struct err *err)
{
    const struct items *items = items_of(out, section);
    size_t len = strlen(name);
    if (len == 0 || len > CONF_NAME_MAX || strspn(name, NAME_CHARACTERS) != len)
        return err_set(err, ERR_CONFIG,
            "[%s:%s]: a name has 1 to %d letters, digits, dots, underscores and hyphens",
            section->kind, name, CONF_NAME_MAX);
    if (items->count >= CONF_ITEMS_MAX)
        return err_set(
            err, ERR_CONFIG, "more than %d sections [%s:…]", CONF_ITEMS_MAX, section->kind);
    for (size_t i = 0; i < items->count; i++)
        if (strcmp(name_of(item_at(out, section, i)), name) == 0)
            return err_set(
                err, ERR_CONFIG, "[%s:%s]: given twice; rename one", section->kind, name);
    return true;
}

bool conf_table_add(void *out, const struct conf_table *table, const char *kind, const char *name,
    void **ret_item, struct err *err)
{
    const struct conf_section *section = find_section(table, bytes_str(kind));
    if (!section)
        return err_set(err, ERR_INTERNAL, "no kind of section %s", kind);
    if (!check_name(out, section, name, err))
        return false;
    struct items *items = items_of(out, section);
    char *grown = realloc(items->items, (items->count + 1) * section->size);
    if (!grown)
        return err_nomem(err);
    items->items = grown;
    void *item = item_at(out, section, items->count);
    memset(item, 0, section->size);
    *(char **)item = strdup(name);
    if (!name_of(item) || !set_defaults(section->fields, section->field_count, item, err)) {
        if (!name_of(item))
            err_nomem(err);
        item_free(item, section);
        return false;
    }
    items->count++;
    *ret_item = item;
    return true;
}

/* -- single assignments and the sample --------------------------------------------------------- */

/* How often a section has this key: more than once, and it needs its section. */
static size_t key_count(const struct conf_field *fields, size_t count, const char *key)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += strcmp(fields[i].key, key) == 0;
    return found;
}

/* The keys of the section that was written, else all of them, each as short as it may be written. */
static bool refuse_key(const struct conf_field *fields, size_t count, const char *where,
    const char *key, struct err *err)
{
    char known[ERR_MESSAGE_SIZE];
    size_t len = 0;
    auto_free char *section = strndup(key, strcspn(key, "."));
    if (!section)
        return err_nomem(err);
    if (strchr(key, '.') && conf_section_exists(fields, count, bytes_str(section))) {
        list_known(fields, count, section, known, sizeof known);
        return err_set(err, ERR_CONFIG, "%s: %.64s: unknown key; known in [%s]: %s", where, key,
            section, known);
    }
    known[0] = '\0';
    for (size_t i = 0; i < count && len < sizeof known; i++) {
        bool alone = key_count(fields, count, fields[i].key) == 1;
        len += (size_t)snprintf(known + len, sizeof known - len, "%s%s%s%s", len ? ", " : "",
            alone ? "" : fields[i].section, alone ? "" : ".", fields[i].key);
    }
    return err_set(err, ERR_CONFIG, "%s: %.64s: unknown key; known: %s", where, key, known);
}

bool conf_assign(void *out, const struct conf_field *fields, size_t count, const char *where,
    const char *key, const char *value, struct err *err)
{
    const struct conf_field *found = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t section_len = strlen(fields[i].section);
        bool full = strncmp(key, fields[i].section, section_len) == 0 && key[section_len] == '.' &&
                    strcmp(key + section_len + 1, fields[i].key) == 0;
        if (!full && strcmp(key, fields[i].key) != 0)
            continue;
        if (found && !full)
            return err_set(err, ERR_CONFIG,
                "%s: %s: stands for %s.%s and for %s.%s; write the section too", where, key,
                found->section, found->key, fields[i].section, fields[i].key);
        found = &fields[i];
    }
    if (!found)
        return refuse_key(fields, count, where, key, err);
    return conf_value_set(found, out, where, value, false, err);
}
