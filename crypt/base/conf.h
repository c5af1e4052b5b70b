/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: INI files read by libinih (its only includer) into a struct through one field table,
 * which also serves `-o key=value` options. Every refusal says file:line, the key, and what is accepted.
 * Refused: unknown section or key, a key given twice (unless CONF_LIST), wrong type or out of range, a line over 198
 * bytes (libinih would cut it; long values live in files), an indented line, NUL, invalid UTF-8, a file that others than root
 * and this user may write. Comments are whole lines that start with ';' or '#': behind a value they are refused, since
 * libinih takes " ;" for a comment and " #" for a part of the value.
 *
 *     struct kbs_conf { char *listen; bool admit; int64_t token_ms; };
 *     static const struct conf_field fields[] = {
 *         {"server", "listen", CONF_TEXT, offsetof(struct kbs_conf, listen), .text_default = "127.0.0.1:8080",
 *          .help = "address and port to listen on"},
 *     };
 */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/base/err.h"
#include "crypt/base/secret.h"

#define CONF_FILE_MAX (256u * 1024u)

enum conf_type {
    CONF_TEXT, /* char *, malloc'd; never empty */
    CONF_PATH, /* char *, malloc'd, absolute, no ".." component */
    CONF_CREDENTIAL, /* as CONF_PATH; the file, when it exists, must be one that conf_credential() would take */
    CONF_BOOL,     /* bool: yes/no, true/false, on/off, 1/0 */
    CONF_INT,      /* int64_t in min..max; decimal, or 0x hex, or 0o octal */
    CONF_DURATION, /* int64_t milliseconds: 250ms, 5s, 10m, 1h, 2d; in min..max */
    CONF_SIZE,     /* int64_t bytes: 512, 64K, 1M, 2G; in min..max */
    CONF_CHOICE,   /* int: index into `choices` */
    CONF_MODE,     /* int64_t: octal permission bits 0..07777 */
    CONF_LIST      /* struct conf_list: words split at commas and blanks; the key may be repeated */
};

struct conf_list {
    char **items;
    size_t count;
};

struct conf_field {
    const char *section;
    const char *key;
    enum conf_type type;
    size_t offset;
    int64_t min, max;           /* 0,0: any non-negative */
    const char *const *choices; /* NULL-terminated */
    const char *text_default;   /* parsed as if it were in the file; NULL: zero/NULL */
    bool required;
    const char *help; /* one line; man pages are checked against it */
    bool group_ok;    /* CONF_CREDENTIAL: the file's group may read it */
    bool filled;      /* CONF_LIST: not without a word, where no word would mean all */
    int64_t unset; /* int64_t members without a default: what stands there when nothing is given */
};

#define CONF_NAME_MAX  64
#define CONF_ITEMS_MAX 4096

/* A kind of section that is repeated, "[kind:NAME]": NAME of 1..CONF_NAME_MAX letters, digits and "._-", unique in its kind. */
struct conf_section {
    const char *kind;
    size_t offset;                   /* of the CONF_ITEMS member */
    size_t size;                     /* of one item; it starts with `char *name` */
    const struct conf_field *fields; /* their section is the kind; offsets in the item */
    size_t field_count;
    const char *help; /* one line, printed above the sample of the section */
};

/* Items in the order of the file. The array moves while the file is read: keep indices, not pointers, until then. */
#define CONF_ITEMS(type) \
    struct {             \
        type *items;     \
        size_t count;    \
    }

struct conf_table {
    const struct conf_field *fields;
    size_t field_count;
    const struct conf_section *sections;
    size_t section_count;
};

/* As conf_load, conf_parse, conf_done and conf_print_sample below, for a table with repeated sections. */
bool conf_table_load(
    const char *path, const struct conf_table *table, void *ret_out, struct err *err) MUST_CHECK;
bool conf_table_parse(const char *text, size_t len, const char *name,
    const struct conf_table *table, void *ret_out, struct err *err) MUST_CHECK;
void conf_table_done(void *out, const struct conf_table *table);
bool conf_table_sample(const struct conf_table *table, int fd, struct err *err) MUST_CHECK;
/* One more item, with defaults, as if "[kind:name]" stood at the end of the file. *ret_item is valid until the next is added. */
bool conf_table_add(void *out, const struct conf_table *table, const char *kind, const char *name,
    void **ret_item, struct err *err) MUST_CHECK;

/* A whole file that only root and this user may write, at most out->max bytes. */
bool conf_file_text(const char *path, struct buf *out, struct err *err) MUST_CHECK;

/* What a program prints on standard output when --check found nothing wrong, the same for all of them. */
#define CONF_GOOD "the configuration is good"

/* Fills defaults first. `path` NULL: defaults only, required keys are not asked for. On failure *out holds nothing. */
bool conf_load(const char *path, const struct conf_field *fields, size_t count, void *ret_out,
    struct err *err) MUST_CHECK;
/* The same from memory (fuzzing, tests); `name` stands for the path in errors. */
bool conf_parse(const char *text, size_t len, const char *name, const struct conf_field *fields,
    size_t count, void *ret_out, struct err *err) MUST_CHECK;
/* One more assignment on a loaded struct, from `where` (e.g. "option -o"): key is "section.key", or "key" when only
 * one section has it. Replaces the value, a whole CONF_LIST too. On failure the struct is as before. */
bool conf_assign(void *out, const struct conf_field *fields, size_t count, const char *where,
    const char *key, const char *value, struct err *err) MUST_CHECK;
void conf_done(void *out, const struct conf_field *fields, size_t count);
/* Prints a commented sample with every key, its default and help. */
bool conf_print_sample(const struct conf_field *fields, size_t count, int fd, struct err *err)
    MUST_CHECK;

/* The owner and mode of a credential file, without reading it. A file that is not there passes: whoever reads it will say so. */
bool conf_credential_check(const char *path, bool group_ok, struct err *err) MUST_CHECK;
/* A credential file (key, token) straight into locked memory: a regular file of root or this user, not accessible to
 * group unless `group_ok`, never by others, at most `max` bytes; ERR_CONFIG with the chmod to run. */
bool conf_credential(const char *path, size_t max, bool group_ok, struct secret **ret_secret,
    struct err *err) MUST_CHECK;
