/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/conf_value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypt/base/number.h"

#define SEPARATORS ", \t"
#define LIST_MAX   256

static const struct {
    const char *name;
    bool value;
} bool_names[] = {{"yes", true}, {"no", false}, {"true", true}, {"false", false}, {"on", true},
    {"off", false}, {"1", true}, {"0", false}};

static void *member(const struct conf_field *field, void *out)
{
    return (char *)out + field->offset;
}

static size_t member_size(enum conf_type type)
{
    switch (type) {
    case CONF_TEXT:
    case CONF_PATH:
    case CONF_CREDENTIAL:
        return sizeof(char *);
    case CONF_BOOL:
        return sizeof(bool);
    case CONF_CHOICE:
        return sizeof(int);
    case CONF_LIST:
        return sizeof(struct conf_list);
    default:
        return sizeof(int64_t);
    }
}

static void list_free(struct conf_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct conf_list){NULL, 0};
}

void conf_value_clear(const struct conf_field *field, void *out)
{
    memset(member(field, out), 0, member_size(field->type));
}

void conf_value_free(const struct conf_field *field, void *out)
{
    if (field->type == CONF_TEXT || field->type == CONF_PATH || field->type == CONF_CREDENTIAL)
        free(*(char **)member(field, out));
    else if (field->type == CONF_LIST)
        list_free(member(field, out));
    conf_value_clear(field, out);
}

/* -- what is accepted -------------------------------------------------------------------------- */

/* Bounds in the unit of the field; without bounds any non-negative number is taken. */
static void describe_range(
    const struct conf_field *field, const char *what, const char *unit, char *out, size_t size)
{
    if (field->min == 0 && field->max == 0)
        snprintf(out, size, "%s", what);
    else
        snprintf(out, size, "%s, from %" PRId64 "%s to %" PRId64 "%s", what, field->min, unit,
            field->max, unit);
}

static void describe_choices(const struct conf_field *field, char *out, size_t size)
{
    size_t len = (size_t)snprintf(out, size, "one of: ");
    for (size_t i = 0; field->choices[i] && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%s", i ? ", " : "", field->choices[i]);
}

void conf_value_accepted(const struct conf_field *field, char *out, size_t size)
{
    switch (field->type) {
    case CONF_TEXT:
        snprintf(out, size, "text");
        break;
    case CONF_PATH:
    case CONF_CREDENTIAL:
        snprintf(out, size, "an absolute path without \"..\"");
        break;
    case CONF_BOOL:
        snprintf(out, size, "yes or no");
        break;
    case CONF_INT:
        describe_range(field, "a number", "", out, size);
        break;
    case CONF_DURATION:
        describe_range(field, "a duration such as 250ms, 5s, 10m, 1h, 2d", "ms", out, size);
        break;
    case CONF_SIZE:
        describe_range(field, "a size such as 512, 64K, 1M, 2G", " bytes", out, size);
        break;
    case CONF_CHOICE:
        describe_choices(field, out, size);
        break;
    case CONF_MODE:
        snprintf(out, size, "octal permission bits such as 0640");
        break;
    case CONF_LIST:
        snprintf(
            out, size, "words split at commas or blanks%s", field->filled ? ", at least one" : "");
        break;
    }
}

static bool refuse(
    const struct conf_field *field, const char *where, const char *text, struct err *err)
{
    char accepted[256];
    conf_value_accepted(field, accepted, sizeof accepted);
    return err_set(err, ERR_CONFIG, "%s: %s.%s: \"%.80s\" is not valid; accepted: %s", where,
        field->section, field->key, text, accepted);
}

/* -- each type --------------------------------------------------------------------------------- */

static bool path_is_clean(const char *path)
{
    if (path[0] != '/')
        return false;
    for (const char *at = path; (at = strstr(at, "/..")); at += 3)
        if (at[3] == '/' || at[3] == '\0')
            return false;
    return true;
}

static bool text_set(char **slot, const char *text, struct err *err)
{
    char *copy = strdup(text);
    if (!copy)
        return err_nomem(err);
    free(*slot);
    *slot = copy;
    return true;
}

static bool bool_parse(const char *text, bool *ret_value)
{
    for (size_t i = 0; i < ARRAY_LEN(bool_names); i++) {
        if (strcmp(bool_names[i].name, text) != 0)
            continue;
        *ret_value = bool_names[i].value;
        return true;
    }
    return false;
}

static bool choice_parse(const struct conf_field *field, const char *text, int *ret_index)
{
    for (int i = 0; field->choices[i]; i++) {
        if (strcmp(field->choices[i], text) != 0)
            continue;
        *ret_index = i;
        return true;
    }
    return false;
}

static bool number_set(const struct conf_field *field, int64_t *slot, const char *text)
{
    static bool (*const parsers[])(const char *, int64_t *) = {
        [CONF_INT] = number_int,
        [CONF_DURATION] = number_duration,
        [CONF_SIZE] = number_size,
        [CONF_MODE] = number_mode,
    };
    int64_t value;
    if (!parsers[field->type](text, &value))
        return false;
    bool bounded = field->min != 0 || field->max != 0;
    if (bounded ? value < field->min || value > field->max : value < 0)
        return false;
    *slot = value;
    return true;
}

static bool list_add(struct conf_list *list, const char *word, size_t len, struct err *err)
{
    char **items = reallocarray(list->items, list->count + 1, sizeof(char *));
    if (!items)
        return err_nomem(err);
    list->items = items;
    items[list->count] = strndup(word, len);
    if (!items[list->count])
        return err_nomem(err);
    list->count++;
    return true;
}

static bool list_words(struct conf_list *list, const char *text, struct err *err)
{
    for (text += strspn(text, SEPARATORS); *text; text += strspn(text, SEPARATORS)) {
        size_t len = strcspn(text, SEPARATORS);
        if (list->count == LIST_MAX)
            return err_set(err, ERR_CONFIG, "more than %d words", LIST_MAX);
        if (!list_add(list, text, len, err))
            return false;
        text += len;
    }
    return true;
}

static bool list_set(struct conf_list *slot, const char *text, bool append, struct err *err)
{
    AUTO_DONE(list_free) struct conf_list list = {NULL, 0};
    for (size_t i = 0; append && i < slot->count; i++)
        if (!list_add(&list, slot->items[i], strlen(slot->items[i]), err))
            return false;
    if (!list_words(&list, text, err))
        return false;
    list_free(slot);
    *slot = list;
    list = (struct conf_list){NULL, 0};
    return true;
}

bool conf_value_set(const struct conf_field *field, void *out, const char *where, const char *text,
    bool append, struct err *err)
{
    void *slot = member(field, out);
    switch (field->type) {
    case CONF_TEXT:
        return text[0] ? text_set(slot, text, err) : refuse(field, where, text, err);
    case CONF_PATH:
        return path_is_clean(text) ? text_set(slot, text, err) : refuse(field, where, text, err);
    case CONF_CREDENTIAL:
        if (!path_is_clean(text))
            return refuse(field, where, text, err);
        return (conf_credential_check(text, field->group_ok, err) ||
                   err_wrap(err, "%s: %s.%s", where, field->section, field->key)) &&
               text_set(slot, text, err);
    case CONF_BOOL:
        return bool_parse(text, slot) || refuse(field, where, text, err);
    case CONF_CHOICE:
        return choice_parse(field, text, slot) || refuse(field, where, text, err);
    case CONF_LIST:
        if (field->filled && text[strspn(text, SEPARATORS)] == '\0')
            return refuse(field, where, text, err);
        return list_set(slot, text, append, err) ||
               err_wrap(err, "%s: %s.%s", where, field->section, field->key);
    default:
        return number_set(field, slot, text) || refuse(field, where, text, err);
    }
}
