/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging for programs (libraries do not log above debug). To stderr as `name: level: text KEY=value…`, or, when
 * stderr is the journal ($JOURNAL_STREAM) or log_init says so, to journald by its native datagram protocol
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL) with the fields as fields. Control characters and newlines in
 * values are escaped. Never blocks for long: a full journal socket drops to stderr. Thread-safe; keeps errno.
 */
#pragma once

#include "crypt/base/err.h"

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};
enum log_target { LOG_TARGET_AUTO, LOG_TARGET_STDERR, LOG_TARGET_JOURNAL };

struct log_field {
    const char *key;   /* upper case, e.g. "PATH"; prefixed SEALED_ in the journal */
    const char *value; /* NULL: field left out */
};

void log_init(const char *program, enum log_target target, enum log_level level);
void log_text(enum log_level level, const struct log_field *fields, size_t count,
    const char *format, ...) PRINTF_LIKE(4, 5);
/* The message, code name, place and ref of an error at one edge. */
void log_err(enum log_level level, const struct err *err, const char *format, ...)
    PRINTF_LIKE(3, 4);

#define log_error(...)   log_text(LOG_LEVEL_ERROR, NULL, 0, __VA_ARGS__)
#define log_warning(...) log_text(LOG_LEVEL_WARNING, NULL, 0, __VA_ARGS__)
#define log_notice(...)  log_text(LOG_LEVEL_NOTICE, NULL, 0, __VA_ARGS__)
#define log_info(...)    log_text(LOG_LEVEL_INFO, NULL, 0, __VA_ARGS__)
#define log_debug(...)   log_text(LOG_LEVEL_DEBUG, NULL, 0, __VA_ARGS__)

/* sd_notify(3) by its own datagram protocol: "READY=1", "STOPPING=1"… Does nothing without $NOTIFY_SOCKET. */
void log_notify(const char *state);
/* Level by name ("error"…"debug"); false when unknown. */
bool log_level_parse(const char *name, enum log_level *ret_level) MUST_CHECK;
