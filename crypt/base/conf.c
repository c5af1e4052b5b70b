/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypt/base/buf.h"
#include "crypt/base/conf_value.h"
#include "crypt/base/utf8.h"

#define BLANKS " \t\r"

/* What one reading of a file knows; also the stream that libinih reads its lines from. */
struct reading {
    const struct conf_field *fields;
    size_t count;
    void *out;
    bool *seen; /* one a field: set by this file */
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

static bool section_exists(const struct conf_field *fields, size_t count, struct bytes section)
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
                    : section_exists(fields, i, bytes_str(fields[i].section)))
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

/* -- lines ------------------------------------------------------------------------------------- */

static bool check_section_line(struct reading *reading, struct bytes line)
{
    char known[256], text[400];
    if (line.data[line.len - 1] != ']')
        return refuse_line(reading, "a section line is [name] and nothing more");
    struct bytes section = bytes_slice(line, 1, line.len - 2);
    if (section_exists(reading->fields, reading->count, section))
        return true;
    list_known(reading->fields, reading->count, NULL, known, sizeof known);
    snprintf(text, sizeof text, "unknown section [%.*s]; known: %s",
        (int)(section.len < 60 ? section.len : 60), (const char *)section.data, known);
    return refuse_line(reading, text);
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

static int take_assignment(void *user, const char *section, const char *key, const char *value)
{
    struct reading *reading = user;
    char known[300], where[300];
    if (reading->failed)
        return 1;
    const struct conf_field *field = find_field(reading->fields, reading->count, section, key);
    if (!field && !section[0])
        return refuse_line(reading, "key before the first [section]");
    snprintf(where, sizeof where, "%s:%u", reading->name, reading->line);
    if (!field) {
        list_known(reading->fields, reading->count, section, known, sizeof known);
        reading->failed = true;
        return err_set(reading->err, ERR_CONFIG, "%s: %s.%s: unknown key; known in [%s]: %s", where,
            section, key, section, known);
    }
    bool *seen = &reading->seen[field - reading->fields];
    if (*seen && field->type != CONF_LIST) {
        reading->failed = true;
        return err_set(
            reading->err, ERR_CONFIG, "%s: %s.%s: given twice; remove one", where, section, key);
    }
    reading->failed = !conf_value_set(field, reading->out, where, value, *seen, reading->err);
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

static bool set_defaults(const struct conf_field *fields, size_t count, void *out, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (fields[i].text_default && !conf_value_set(&fields[i], out, "built-in default",
                                          fields[i].text_default, false, err)) {
            err->code = err->code == ERR_CONFIG ? ERR_INTERNAL : err->code;
            return false;
        }
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
    for (size_t i = 0; i < reading->count; i++) {
        const struct conf_field *field = &reading->fields[i];
        if (field->required && !field->text_default && !reading->seen[i])
            return err_set(err, ERR_CONFIG, "%s: %s.%s: missing; it must be set (%s)",
                reading->name, field->section, field->key, field->help);
    }
    return true;
}

bool conf_parse(const char *text, size_t len, const char *name, const struct conf_field *fields,
    size_t count, void *ret_out, struct err *err)
{
    clear_all(fields, count, ret_out);
    auto_free bool *seen = calloc(count ? count : 1, sizeof *seen);
    if (!seen)
        return err_nomem(err);
    struct reading reading = {.fields = fields,
        .count = count,
        .out = ret_out,
        .seen = seen,
        .name = name,
        .rest = bytes_of(text, len),
        .err = err};
    if (set_defaults(fields, count, ret_out, err) && read_text(&reading, err))
        return true;
    conf_done(ret_out, fields, count);
    return false;
}

void conf_done(void *out, const struct conf_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        conf_value_free(&fields[i], out);
}

/* -- files ------------------------------------------------------------------------------------- */

/* Who may write the file decides what the program does: only root and this user may. */
static bool open_own_file(const char *path, int *ret_fd, struct stat *ret_info, struct err *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_set_errno(err, ERR_CONFIG, "%s", path);
    if (fstat(fd, ret_info) < 0)
        return err_set_errno(err, ERR_IO, "%s", path);
    if (!S_ISREG(ret_info->st_mode))
        return err_set(err, ERR_CONFIG, "%s: not a regular file", path);
    if (ret_info->st_uid != 0 && ret_info->st_uid != geteuid())
        return err_set(err, ERR_CONFIG,
            "%s: owned by uid %u, who could change it; run: chown %u %s", path,
            (unsigned)ret_info->st_uid, (unsigned)geteuid(), path);
    *ret_fd = take_fd(fd);
    return true;
}

static bool read_all(int fd, const char *path, struct buf *out, struct err *err)
{
    char chunk[4096];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, ERR_IO, "%s", path);
        if (out->len + (size_t)got > out->max)
            return err_set(err, ERR_CONFIG, "%s: longer than %zu bytes", path, out->max);
        if (!buf_append(out, bytes_of(chunk, (size_t)got), err))
            return err_wrap(err, "%s", path);
    }
    return true;
}

static bool load_file(
    const char *path, const struct conf_field *fields, size_t count, void *ret_out, struct err *err)
{
    struct stat info;
    auto_fd int fd = -1;
    auto_buf text = BUF_INIT(CONF_FILE_MAX);
    if (!open_own_file(path, &fd, &info, err))
        return false;
    if (info.st_mode & (S_IWGRP | S_IWOTH))
        return err_set(err, ERR_CONFIG, "%s: mode %04o lets others write it; run: chmod go-w %s",
            path, (unsigned)info.st_mode & 07777, path);
    if (!read_all(fd, path, &text, err))
        return false;
    return conf_parse(buf_text(&text), text.len, path, fields, count, ret_out, err);
}

bool conf_load(
    const char *path, const struct conf_field *fields, size_t count, void *ret_out, struct err *err)
{
    clear_all(fields, count, ret_out);
    if (path)
        return load_file(path, fields, count, ret_out, err);
    if (set_defaults(fields, count, ret_out, err))
        return true;
    conf_done(ret_out, fields, count);
    return false;
}

static bool open_credential(const char *path, bool group_ok, int *ret_fd, struct err *err)
{
    struct stat info;
    auto_fd int fd = -1;
    if (!open_own_file(path, &fd, &info, err))
        return err_wrap(err, "credential");
    unsigned refused = group_ok ? 07u : 077u;
    if (info.st_mode & refused)
        return err_set(err, ERR_CONFIG,
            "credential %s: mode %04o lets others use it; run: chmod %s %s", path,
            (unsigned)info.st_mode & 07777, group_ok ? "640" : "600", path);
    *ret_fd = take_fd(fd);
    return true;
}

bool conf_credential_check(const char *path, bool group_ok, struct err *err)
{
    auto_fd int fd = -1;
    if (open_credential(path, group_ok, &fd, err))
        return true;
    /* Not there, or not ours to open (a configuration is also read by programs that need no credential). */
    return err->sys_errno == ENOENT || err->sys_errno == EACCES;
}

bool conf_credential(
    const char *path, size_t max, bool group_ok, struct secret **ret_secret, struct err *err)
{
    auto_fd int fd = -1;
    return open_credential(path, group_ok, &fd, err) &&
           (secret_read_fd(fd, max, ret_secret, err) || err_wrap(err, "credential %s", path));
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
    if (strchr(key, '.') && section_exists(fields, count, bytes_str(section))) {
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

static bool append_field(
    const struct conf_field *field, bool new_section, struct buf *out, struct err *err)
{
    char accepted[256];
    conf_value_accepted(field, accepted, sizeof accepted);
    if (new_section && !buf_printf(out, err, "%s[%s]\n", out->len ? "\n" : "", field->section))
        return false;
    return buf_printf(out, err, "# %s\n# %s%s\n%s%s = %s\n", field->help, accepted,
        field->required ? "; required" : "", field->required && !field->text_default ? "" : "#",
        field->key, field->text_default ? field->text_default : "");
}

bool conf_print_sample(const struct conf_field *fields, size_t count, int fd, struct err *err)
{
    auto_buf out = BUF_INIT(CONF_FILE_MAX);
    for (size_t i = 0; i < count; i++) {
        if (section_exists(fields, i, bytes_str(fields[i].section)))
            continue; /* printed with the first field of its section */
        for (size_t k = i; k < count; k++)
            if (strcmp(fields[k].section, fields[i].section) == 0 &&
                !append_field(&fields[k], k == i, &out, err))
                return false;
    }
    const char *text = buf_text(&out);
    for (size_t done = 0; done < out.len;) {
        ssize_t n = write(fd, text + done, out.len - done);
        if (n < 0 && errno != EINTR)
            return err_set_errno(err, ERR_IO, "print the configuration sample");
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}
