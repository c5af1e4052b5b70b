/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/json.h"

static const char *const type_names[] = {
    [JSON_FIELD_TEXT] = "text",
    [JSON_FIELD_INT] = "an integer",
    [JSON_FIELD_BOOL] = "true or false",
    [JSON_FIELD_ANY] = "anything",
    [JSON_FIELD_OBJECT] = "an object",
    [JSON_FIELD_ARRAY] = "an array",
};

static bool has_type(const json_t *value, enum json_field_type type)
{
    switch (type) {
    case JSON_FIELD_TEXT:
        return json_is_string(value);
    case JSON_FIELD_INT:
        return json_is_integer(value);
    case JSON_FIELD_BOOL:
        return json_is_boolean(value);
    case JSON_FIELD_ANY:
        return true;
    case JSON_FIELD_OBJECT:
        return json_is_object(value);
    case JSON_FIELD_ARRAY:
        return json_is_array(value);
    }
    return false;
}

/* The member that a field stands for, or NULL when it counts as absent: on the wire a null does
 * where the member is optional, since that is how CoCo's programs write "none" (protocol.md A.2).
 */
static json_t *member_of(const json_t *object, const struct json_field *field, bool null_is_absent)
{
    json_t *value = json_object_get(object, field->name);
    if (null_is_absent && !field->required && field->type != JSON_FIELD_ANY && json_is_null(value))
        return NULL;
    return value;
}

static bool check_value(
    const json_t *value, const struct json_field *field, const char *what, struct err *err)
{
    if (!has_type(value, field->type))
        return err_set(err, ERR_FORMAT, "%s: member \"%s\" must be %s", what, field->name,
            type_names[field->type]);
    if (field->type == JSON_FIELD_INT) {
        json_int_t number = json_integer_value(value);
        if (number < field->min || number > field->max)
            return err_set(err, ERR_FORMAT, "%s: member \"%s\" must be within %lld..%lld", what,
                field->name, (long long)field->min, (long long)field->max);
    }
    if (field->type == JSON_FIELD_TEXT) {
        size_t len = json_string_length(value);
        if (field->max > 0 && len > (uint64_t)field->max)
            return err_set(err, ERR_FORMAT,
                "%s: member \"%s\" has %zu bytes; at most %lld are taken", what, field->name, len,
                (long long)field->max);
        if (field->min > 0 && len < (uint64_t)field->min)
            return err_set(err, ERR_FORMAT,
                "%s: member \"%s\" has %zu bytes; at least %lld are needed", what, field->name, len,
                (long long)field->min);
    }
    return true;
}

static bool is_known(const char *name, const struct json_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, name) == 0)
            return true;
    return false;
}

/* The name is not told: it is the sender's text, of any length. */
static bool check_unknown(const json_t *object, const struct json_field *fields, size_t count,
    const char *what, struct err *err)
{
    size_t position = 0;
    /* jansson's iterator takes no const; reading does not change the object. */
    json_t *members = (json_t *)(uintptr_t)object;
    for (void *iter = json_object_iter(members); iter;
         iter = json_object_iter_next(members, iter)) {
        position++;
        if (!is_known(json_object_iter_key(iter), fields, count))
            return err_set(err, ERR_FORMAT, "%s: member %zu has a name that is not known here",
                what, position);
    }
    return true;
}

static void store(json_t *value, const struct json_field *field, void *out)
{
    void *slot = (uint8_t *)out + field->offset;
    switch (field->type) {
    case JSON_FIELD_TEXT:
        *(const char **)slot = json_string_value(value);
        break;
    case JSON_FIELD_INT:
        *(int64_t *)slot = json_integer_value(value);
        break;
    case JSON_FIELD_BOOL:
        *(bool *)slot = json_is_true(value);
        break;
    case JSON_FIELD_ANY:
    case JSON_FIELD_OBJECT:
    case JSON_FIELD_ARRAY:
        *(json_t **)slot = value;
        break;
    }
}

bool json_decode(const json_t *object, const struct json_field *fields, size_t count,
    bool unknown_ok, const char *what, void *ret_struct, struct err *err)
{
    if (!json_is_object(object))
        return err_set(err, ERR_FORMAT, "%s: must be a JSON object", what);
    if (!unknown_ok && !check_unknown(object, fields, count, what, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        json_t *value = member_of(object, &fields[i], unknown_ok);
        if (!value && fields[i].required)
            return err_set(err, ERR_FORMAT, "%s: member \"%s\" is missing", what, fields[i].name);
        if (value && !check_value(value, &fields[i], what, err))
            return false;
    }
    for (size_t i = 0; i < count; i++) {
        json_t *value = member_of(object, &fields[i], unknown_ok);
        if (value)
            store(value, &fields[i], ret_struct);
    }
    return true;
}
