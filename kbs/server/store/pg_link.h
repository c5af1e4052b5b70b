/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to a PostgreSQL server; pg_link.c is the only user of libpq. Statements are prepared when a connection first needs them and
 * sent with binary parameters; nothing that is stored is ever part of a statement's text. Every wait has an end: the connection's, and
 * the statement's, which the server keeps as well (statement_timeout). A link belongs to one thread at a time.
 *
 * What libpq keeps of the password is ordinary memory.
 */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/base/secret.h"

enum pg_tls { PG_TLS_VERIFY, PG_TLS_REQUIRE, PG_TLS_OFF };

struct pg_target {
    const char *
        host; /* a name, an address, or the directory of a Unix socket (begins with a slash: no TLS there) */
    int64_t port;
    const char *database, *user;
    const char *ca_file;           /* PEM; with PG_TLS_VERIFY */
    const struct secret *password; /* may be NULL */
    enum pg_tls tls;
    int64_t connect_ms, statement_ms;
};

#define PG_STATEMENTS_MAX 64
#define PG_PARAMS_MAX     8

struct pg_statement {
    unsigned number; /* below PG_STATEMENTS_MAX, of this text alone */
    const char *text;
};

enum pg_type { PG_END, PG_TEXT, PG_INT, PG_BYTES };
struct pg_param {
    enum pg_type type;
    const char *text;
    int64_t number;
    struct bytes bytes; /* of PG_BYTES; borrowed for the call, as `text` */
};
#define PG_P_TEXT(value)                 \
    {                                    \
        .type = PG_TEXT, .text = (value) \
    }
#define PG_P_INT(value)                   \
    {                                     \
        .type = PG_INT, .number = (value) \
    }
#define PG_P_BYTES(value)                  \
    {                                      \
        .type = PG_BYTES, .bytes = (value) \
    }
#define PG_P_END       \
    {                  \
        .type = PG_END \
    }

struct pg_link;
struct pg_rows;

/* ERR_UNREACH: nobody there, or no admittance; ERR_TIMEOUT. */
bool pg_link_open(const struct pg_target *target, struct pg_link **ret_link, struct err *err)
    MUST_CHECK;
void pg_link_free(struct pg_link *link);
DEFINE_AUTO(struct pg_link, pg_link_free);

enum pg_outcome {
    PG_FAILED, /* for a reason that stays */
    PG_LOST,   /* the connection: whether the statement was carried out is not known */
    PG_AGAIN   /* it was not carried out, and may be tried again */
};
/* `params` ends with PG_P_END. On failure *ret_outcome says what may be done about it; after PG_LOST, and after ERR_TIMEOUT, only
 * pg_link_free() is left. ERR_CONFIG: the schema is not there, or this user may not use it. *ret_rows may be asked for by nobody (NULL). */
bool pg_link_run(struct pg_link *link, const struct pg_statement *statement,
    const struct pg_param *params, struct pg_rows **ret_rows, enum pg_outcome *ret_outcome,
    struct err *err) MUST_CHECK;
/* Statements without parameters and results, in one transaction with each other when there are several in the text. */
bool pg_link_script(struct pg_link *link, const char *text, struct err *err) MUST_CHECK;

size_t pg_rows_count(const struct pg_rows *rows);
/* How many rows a change has met. */
size_t pg_rows_changed(const struct pg_rows *rows);
/* Borrowed: as long as the rows live. A NULL is empty. */
struct bytes pg_rows_bytes(const struct pg_rows *rows, size_t row, int column);
/* Of a column of type int8; 0 for a NULL. */
int64_t pg_rows_int(const struct pg_rows *rows, size_t row, int column);
void pg_rows_free(struct pg_rows *rows);
DEFINE_AUTO(struct pg_rows, pg_rows_free);
#define auto_pg_rows AUTO(pg_rows_free) struct pg_rows
