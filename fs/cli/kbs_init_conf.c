/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/kbs_init_conf.h"

#include "kbs/server/kbs_conf.h"

static const char *chosen(
    const struct init_setting *settings, size_t count, const struct conf_field *field)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(settings[i].section, field->section) == 0 &&
            strcmp(settings[i].key, field->key) == 0)
            return settings[i].value;
    return NULL;
}

static bool append_field(
    const struct conf_field *field, const char *value, struct buf *out, struct err *err)
{
    if (!buf_printf(out, err, "# %s\n", field->help))
        return false;
    if (value)
        return buf_printf(out, err, "%s = %s\n", field->key, value);
    return buf_printf(
        out, err, "#%s = %s\n", field->key, field->text_default ? field->text_default : "");
}

bool init_conf_text(
    const struct init_setting *settings, size_t count, struct buf *out, struct err *err)
{
    const char *section = "";
    if (!buf_append_str(out,
            "# Configuration of sealed-kbs, made by `sealed kbs init`. See sealed-kbs(8). What is "
            "commented out is the default.\n",
            err))
        return false;
    for (size_t i = 0; i < kbs_conf_field_count; i++) {
        const struct conf_field *field = &kbs_conf_fields[i];
        if (strcmp(section, field->section) != 0) {
            section = field->section;
            if (!buf_printf(out, err, "\n[%s]\n", section))
                return false;
        }
        if (!append_field(field, chosen(settings, count, field), out, err))
            return false;
    }
    return true;
}
