/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/tcb_level.h"

#include "crypt/base/clock.h"

#define ADVISORY_MAX 64

static const char *const names[TCB_STATUS_COUNT] = {
    [TCB_UP_TO_DATE] = "UpToDate",
    [TCB_SW_HARDENING_NEEDED] = "SWHardeningNeeded",
    [TCB_CONFIGURATION_NEEDED] = "ConfigurationNeeded",
    [TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED] = "ConfigurationAndSWHardeningNeeded",
    [TCB_OUT_OF_DATE] = "OutOfDate",
    [TCB_OUT_OF_DATE_CONFIGURATION_NEEDED] = "OutOfDateConfigurationNeeded",
    [TCB_REVOKED] = "Revoked",
    [TCB_TD_RELAUNCH_ADVISED] = "TDRelaunchAdvised",
    [TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED] = "TDRelaunchAdvisedConfigurationNeeded",
};

const char *tcb_status_name(enum tcb_status status)
{
    return names[status];
}

/* Intel publishes the statuses up to Revoked only. */
static bool parse_status(const char *text, enum tcb_status *ret_status)
{
    for (size_t i = 0; i <= TCB_REVOKED; i++) {
        if (strcmp(names[i], text) != 0)
            continue;
        *ret_status = (enum tcb_status)i;
        return true;
    }
    return false;
}

/* Whatever a part is but up to date counts as out of date: Intel publishes nothing else for parts. */
enum tcb_status tcb_status_converge(enum tcb_status platform, enum tcb_status part)
{
    if (platform == TCB_REVOKED || part == TCB_REVOKED)
        return TCB_REVOKED;
    if (part == TCB_UP_TO_DATE)
        return platform;
    if (platform == TCB_UP_TO_DATE || platform == TCB_SW_HARDENING_NEEDED)
        return TCB_OUT_OF_DATE;
    if (platform == TCB_CONFIGURATION_NEEDED ||
        platform == TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED)
        return TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
    return platform;
}

static bool needs_configuration(enum tcb_status status)
{
    return status == TCB_CONFIGURATION_NEEDED ||
           status == TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED ||
           status == TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
}

enum tcb_status tcb_status_relaunch(enum tcb_status launch, enum tcb_status current)
{
    bool was_old = launch == TCB_OUT_OF_DATE || launch == TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
    bool is_new = current == TCB_UP_TO_DATE || current == TCB_SW_HARDENING_NEEDED ||
                  current == TCB_CONFIGURATION_NEEDED ||
                  current == TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED;
    if (!was_old || !is_new)
        return launch;
    return needs_configuration(launch) || needs_configuration(current)
               ? TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED
               : TCB_TD_RELAUNCH_ADVISED;
}

struct level {
    json_t *tcb, *advisories;
    const char *date, *status;
};

static const struct json_field level_fields[] = {
    {"tcb", JSON_FIELD_OBJECT, offsetof(struct level, tcb), .required = true},
    {"tcbDate", JSON_FIELD_TEXT, offsetof(struct level, date), .max = 64, .required = true},
    {"tcbStatus", JSON_FIELD_TEXT, offsetof(struct level, status), .max = 64, .required = true},
    {"advisoryIDs", JSON_FIELD_ARRAY, offsetof(struct level, advisories)},
};

static bool check_advisories(const json_t *advisories, const char *what, struct err *err)
{
    if (json_array_size(advisories) > TCB_ADVISORIES_MAX)
        return err_set(
            err, ERR_FORMAT, "%s: a level with more than %d advisories", what, TCB_ADVISORIES_MAX);
    for (size_t i = 0; i < json_array_size(advisories); i++) {
        const json_t *id = json_array_get(advisories, i);
        if (!json_is_string(id) || json_string_length(id) > ADVISORY_MAX)
            return err_set(err, ERR_FORMAT,
                "%s: an advisory id that is no text of at most %d bytes", what, ADVISORY_MAX);
    }
    return true;
}

bool tcb_level_read(
    const json_t *json, const char *what, struct tcb_level *ret_level, struct err *err)
{
    struct level level = {0};
    struct tcb_level read = {0};
    if (!json_is_object(json))
        return err_set(err, ERR_FORMAT, "%s: a TCB level that is no object", what);
    if (!json_decode(json, level_fields, ARRAY_LEN(level_fields), true, what, &level, err) ||
        !clock_parse_rfc3339(bytes_str(level.date), what, &read.date, err) ||
        !check_advisories(level.advisories, what, err))
        return false;
    if (!parse_status(level.status, &read.status))
        return err_set(err, ERR_FORMAT, "%s: unknown TCB status \"%s\"", what, level.status);
    read.tcb = level.tcb;
    read.advisories = level.advisories;
    *ret_level = read;
    return true;
}

struct svn {
    int64_t isvsvn;
};

static const struct json_field svn_fields[] = {
    {"isvsvn", JSON_FIELD_INT, offsetof(struct svn, isvsvn), .max = UINT16_MAX, .required = true},
};

bool tcb_level_of_svn(const json_t *levels, uint16_t svn, const char *what,
    struct tcb_level *ret_level, bool *ret_found, struct err *err)
{
    struct tcb_level found = {0};
    bool is_found = false;
    if (json_array_size(levels) > TCB_LEVELS_MAX)
        return err_set(err, ERR_FORMAT, "%s: more than %d TCB levels", what, TCB_LEVELS_MAX);
    for (size_t i = 0; i < json_array_size(levels); i++) {
        struct tcb_level level;
        struct svn of;
        if (!tcb_level_read(json_array_get(levels, i), what, &level, err) ||
            !json_decode(level.tcb, svn_fields, ARRAY_LEN(svn_fields), true, what, &of, err))
            return false;
        if (is_found || of.isvsvn > svn)
            continue;
        found = level;
        is_found = true;
    }
    *ret_level = found;
    *ret_found = is_found;
    return true;
}

void tcb_rating_done(struct tcb_rating *rating)
{
    json_unref(rating->advisories);
    rating->advisories = NULL;
}

static bool add_advisory(json_t *list, const char *id, struct err *err)
{
    size_t at = 0;
    int order = -1;
    while (at < json_array_size(list) &&
           (order = strcmp(json_string_value(json_array_get(list, at)), id)) < 0)
        at++;
    if (at < json_array_size(list) && order == 0)
        return true;
    return json_array_insert_new(list, at, json_string(id)) == 0 || err_nomem(err);
}

static bool add_advisories(json_t *list, const json_t *more, struct err *err)
{
    for (size_t i = 0; i < json_array_size(more); i++)
        if (!add_advisory(list, json_string_value(json_array_get(more, i)), err))
            return false;
    return true;
}

bool tcb_rating_start(struct tcb_rating *rating, const struct tcb_level *platform, struct err *err)
{
    *rating = (struct tcb_rating){
        .status = platform->status, .date = platform->date, .advisories = json_array()};
    return rating->advisories ? add_advisories(rating->advisories, platform->advisories, err)
                              : err_nomem(err);
}

bool tcb_rating_add(struct tcb_rating *rating, const struct tcb_level *part, struct err *err)
{
    rating->status = tcb_status_converge(rating->status, part->status);
    if (part->date < rating->date)
        rating->date = part->date;
    return add_advisories(rating->advisories, part->advisories, err);
}
