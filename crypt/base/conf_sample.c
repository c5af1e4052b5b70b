/* SPDX-License-Identifier: Apache-2.0 */
/* A commented configuration with every key. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "crypt/base/conf_private.h"
#include "crypt/base/conf_value.h"

static bool append_field(const struct conf_field *field, struct buf *out, struct err *err)
{
    char accepted[256];
    conf_value_accepted(field, accepted, sizeof accepted);
    return buf_printf(out, err, "# %s\n# %s%s\n%s%s = %s\n", field->help, accepted,
        field->required ? "; required" : "", field->required && !field->text_default ? "" : "#",
        field->key, field->text_default ? field->text_default : "");
}

static bool append_plain(const struct conf_table *table, struct buf *out, struct err *err)
{
    const struct conf_field *fields = table->fields;
    for (size_t i = 0; i < table->field_count; i++) {
        if (conf_section_exists(fields, i, bytes_str(fields[i].section)))
            continue; /* printed with the first field of its section */
        if (!buf_printf(out, err, "%s[%s]\n", out->len ? "\n" : "", fields[i].section))
            return false;
        for (size_t k = i; k < table->field_count; k++)
            if (strcmp(fields[k].section, fields[i].section) == 0 &&
                !append_field(&fields[k], out, err))
                return false;
    }
    return true;
}

/* Commented out as a whole: a sample configures nothing. */
static bool append_section(const struct conf_section *section, struct buf *out, struct err *err)
{
    auto_buf text = BUF_INIT(CONF_FILE_MAX);
    if (!buf_printf(
            out, err, "%s# %s\n#[%s:NAME]\n", out->len ? "\n" : "", section->help, section->kind))
        return false;
    for (size_t i = 0; i < section->field_count; i++)
        if (!append_field(&section->fields[i], &text, err))
            return false;
    for (struct bytes rest = buf_bytes(&text); rest.len > 0;) {
        size_t len = (size_t)((const uint8_t *)memchr(rest.data, '\n', rest.len) - rest.data);
        if (!buf_printf(out, err, "%s%.*s\n", rest.data[0] == '#' ? "" : "#", (int)len,
                (const char *)rest.data))
            return false;
        rest = bytes_slice(rest, len + 1, rest.len);
    }
    return true;
}

static bool write_all(int fd, struct bytes text, struct err *err)
{
    for (size_t done = 0; done < text.len;) {
        ssize_t n = write(fd, text.data + done, text.len - done);
        if (n < 0 && errno != EINTR)
            return err_set_errno(err, ERR_IO, "print the configuration sample");
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

bool conf_table_sample(const struct conf_table *table, int fd, struct err *err)
{
    auto_buf out = BUF_INIT(CONF_FILE_MAX);
    if (!append_plain(table, &out, err))
        return false;
    for (size_t i = 0; i < table->section_count; i++)
        if (!append_section(&table->sections[i], &out, err))
            return false;
    return write_all(fd, buf_bytes(&out), err);
}

bool conf_print_sample(const struct conf_field *fields, size_t count, int fd, struct err *err)
{
    const struct conf_table table = {.fields = fields, .field_count = count};
    return conf_table_sample(&table, fd, err);
}
