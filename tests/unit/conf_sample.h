/* SPDX-License-Identifier: Apache-2.0 */
/* A table with every type of field and a repeated section, shared by the unit test and the fuzz target of conf. */
#pragma once

#include "crypt/base/conf.h"

struct sample_rule {
    char *name;
    bool allow;
    char *path;
    struct conf_list users;
};

struct sample_conf {
    char *listen, *path, *name, *server_name;
    bool admit;
    int64_t workers, wait_ms, cache_bytes, mode;
    int level;
    struct conf_list allow;
    CONF_ITEMS(struct sample_rule) rules;
};

static const char *const sample_levels[] = {"low", "high", NULL};

static const struct conf_field sample_fields[] = {
    {"server", "listen", CONF_TEXT, offsetof(struct sample_conf, listen),
        .text_default = "127.0.0.1:8080", .help = "address and port to listen on"},
    {"server", "path", CONF_PATH, offsetof(struct sample_conf, path), .help = "where files are"},
    {"server", "admit", CONF_BOOL, offsetof(struct sample_conf, admit), .text_default = "no",
        .help = "admit new guests"},
    {"server", "workers", CONF_INT, offsetof(struct sample_conf, workers), 1, 64,
        .text_default = "4", .help = "threads"},
    {"server", "wait", CONF_DURATION, offsetof(struct sample_conf, wait_ms), 10, 60000,
        .text_default = "5s", .help = "deadline"},
    {"cache", "size", CONF_SIZE, offsetof(struct sample_conf, cache_bytes), .text_default = "1M",
        .help = "memory to use"},
    {"cache", "mode", CONF_MODE, offsetof(struct sample_conf, mode), .text_default = "0640",
        .help = "mode of files"},
    {"cache", "level", CONF_CHOICE, offsetof(struct sample_conf, level), .choices = sample_levels,
        .text_default = "high", .help = "how much to keep"},
    {"cache", "allow", CONF_LIST, offsetof(struct sample_conf, allow), .text_default = "root",
        .help = "users"},
    {"cache", "name", CONF_TEXT, offsetof(struct sample_conf, name), .required = true,
        .help = "name of this cache"},
    {"server", "name", CONF_TEXT, offsetof(struct sample_conf, server_name),
        .help = "name of this server"},
};
#define SAMPLE_COUNT ARRAY_LEN(sample_fields)

static const struct conf_field sample_rule_fields[] = {
    {"rule", "allow", CONF_BOOL, offsetof(struct sample_rule, allow), .text_default = "yes",
        .help = "what this rule says"},
    {"rule", "path", CONF_PATH, offsetof(struct sample_rule, path), .required = true,
        .help = "what this rule is about"},
    {"rule", "users", CONF_LIST, offsetof(struct sample_rule, users), .help = "whom it is about"},
};

static const struct conf_section sample_sections[] = {
    {"rule", offsetof(struct sample_conf, rules), sizeof(struct sample_rule), sample_rule_fields,
        ARRAY_LEN(sample_rule_fields), "a rule; the first that fits decides"},
};

static const struct conf_table sample_table = {
    sample_fields, SAMPLE_COUNT, sample_sections, ARRAY_LEN(sample_sections)};
