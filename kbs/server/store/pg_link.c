/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/store/pg_link.h"

#include <endian.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

#define TEXT_MAX  400
#define NAME_SIZE 16
/* A path that cannot exist, where an empty one would mean a file in some home directory. */
#define NOWHERE "/dev/null/none"
/* After the server's own limit of a statement. */
#define GRACE_MS 2000
#define MS_PER_S 1000

struct pg_link {
    PGconn *conn;
    int64_t statement_ms;
    uint64_t prepared; /* bit n: statement number n */
};

struct pg_rows {
    PGresult *result;
};

static inline void result_clear(PGresult **result)
{
    PQclear(*result);
}
#define auto_result AUTO_DONE(result_clear) PGresult

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / 1000000;
}

/* libpq's messages have lines and end with one; ours are one line. */
static const char *one_line(const char *message, char out[TEXT_MAX])
{
    size_t len = 0;
    for (; *message && len + 1 < TEXT_MAX; message++)
        if (*message != '\n')
            out[len++] = *message;
        else if (message[1] && len > 0)
            out[len++] = ' ';
    out[len] = '\0';
    return out;
}

/* -- connecting ------------------------------------------------------------------------------------- */

struct option {
    const char *name, *value;
};

static bool wait_fd(int fd, bool write, int64_t deadline, struct err *err)
{
    struct pollfd poll_fd = {.fd = fd, .events = (short)(write ? POLLIN | POLLOUT : POLLIN)};
    for (;;) {
        int64_t left = deadline - now_ms();
        if (left <= 0)
            return err_set(err, ERR_TIMEOUT, "the database does not answer");
        int n = poll(&poll_fd, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return err_set_errno(err, ERR_IO, "poll");
    }
}

static bool await_connection(PGconn *conn, int64_t deadline, struct err *err)
{
    char text[TEXT_MAX];
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (PQstatus(conn) != CONNECTION_BAD) {
        if (!wait_fd(PQsocket(conn), state == PGRES_POLLING_WRITING, deadline, err))
            return false;
        state = PQconnectPoll(conn);
        if (state == PGRES_POLLING_OK)
            return true;
        if (state == PGRES_POLLING_FAILED)
            break;
    }
    return err_set(err, ERR_UNREACH, "%s", one_line(PQerrorMessage(conn), text));
}

static const char *tls_mode(const struct pg_target *target)
{
    static const char *const modes[] = {
        [PG_TLS_VERIFY] = "verify-full", [PG_TLS_REQUIRE] = "require", [PG_TLS_OFF] = "disable"};
    return target->host[0] == '/' ? "disable" : modes[target->tls];
}

/* libpq wants it with a NUL, which the file does not have. */
static bool password_text(const struct secret *password, struct secret **ret_text, struct err *err)
{
    if (!password)
        return true;
    struct bytes text = bytes_trim(secret_bytes(password));
    if (!secret_new(text.len + 1, ret_text, err))
        return false;
    memcpy(secret_data(*ret_text), text.data, text.len);
    return true;
}

static PGconn *start(const struct pg_target *target, const struct secret *password)
{
    char port[16], session[128], tcp[24];
    snprintf(port, sizeof port, "%d", (int)target->port);
    snprintf(tcp, sizeof tcp, "%d", (int)(target->statement_ms + GRACE_MS));
    /* What was accepted must be on disk, whatever the server's default is. */
    snprintf(session, sizeof session,
        "-c statement_timeout=%d -c synchronous_commit=on -c search_path=sealed "
        "-c default_transaction_isolation=read\\ committed",
        (int)target->statement_ms);
    /* Each is given, so that neither the environment nor a file in some home directory says anything. */
    const struct option options[] = {{"host", target->host}, {"port", port},
        {"dbname", target->database}, {"user", target->user},
        {"password", password ? (const char *)secret_bytes(password).data : ""},
        {"passfile", NOWHERE}, {"sslmode", tls_mode(target)},
        {"sslrootcert", target->ca_file && target->tls == PG_TLS_VERIFY ? target->ca_file : ""},
        {"sslcert", NOWHERE}, {"sslkey", NOWHERE}, {"sslcrl", NOWHERE},
        {"ssl_min_protocol_version", "TLSv1.2"}, {"gssencmode", "disable"},
        {"client_encoding", "UTF8"}, {"options", session}, {"target_session_attrs", "read-write"},
        {"application_name", "sealed-kbs"}, {"keepalives_idle", "10"}, {"tcp_user_timeout", tcp}};
    const char *names[ARRAY_LEN(options) + 1] = {NULL};
    const char *values[ARRAY_LEN(options) + 1] = {NULL};
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        names[i] = options[i].name;
        values[i] = options[i].value;
    }
    return PQconnectStartParams(names, values, 0);
}

static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

bool pg_link_open(const struct pg_target *target, struct pg_link **ret_link, struct err *err)
{
    auto_secret *password = NULL;
    if (!password_text(target->password, &password, err))
        return false;
    AUTO(pg_link_free) struct pg_link *link = calloc(1, sizeof *link);
    if (!link)
        return err_nomem(err);
    link->statement_ms = target->statement_ms;
    link->conn = start(target, password);
    if (!link->conn)
        return err_nomem(err);
    if (!await_connection(link->conn, now_ms() + target->connect_ms, err))
        return err_wrap(
            err, "database %s on %s port %d", target->database, target->host, (int)target->port);
    PQsetNoticeReceiver(link->conn, ignore_notice, NULL);
    if (PQsetnonblocking(link->conn, 1) != 0)
        return err_set(err, ERR_IO, "the database connection cannot be made non-blocking");
    *ret_link = take_ptr(link);
    return true;
}

void pg_link_free(struct pg_link *link)
{
    if (!link)
        return;
    PQfinish(link->conn);
    free(link);
}

/* -- statements --------------------------------------------------------------------------------------- */

static bool lost(const struct pg_link *link, enum pg_outcome *ret_outcome, struct err *err)
{
    char text[TEXT_MAX];
    *ret_outcome = PG_LOST;
    return err_set(err, ERR_UNREACH, "database: %s", one_line(PQerrorMessage(link->conn), text));
}

/* Sends what is left and takes what comes, until there is a result. */
static bool await_result(
    struct pg_link *link, int64_t deadline, enum pg_outcome *ret_outcome, struct err *err)
{
    int unsent = 1;
    for (;;) {
        if (unsent && (unsent = PQflush(link->conn)) < 0)
            return lost(link, ret_outcome, err);
        if (!unsent && !PQisBusy(link->conn))
            return true;
        if (!wait_fd(PQsocket(link->conn), unsent, deadline, err)) {
            *ret_outcome = PG_LOST;
            return false;
        }
        if (PQconsumeInput(link->conn) != 1)
            return lost(link, ret_outcome, err);
    }
}

/* SQLSTATE by its beginning -> what it means here. The longest that fits counts, so classes come last. */
static const struct meaning {
    const char *state;
    enum pg_outcome outcome;
    enum err_code code;
    const char *hint;
} meanings[] = {
    {"57P", PG_LOST, ERR_UNREACH, NULL}, /* the server shuts down, or starts */
    {"57014", PG_FAILED, ERR_TIMEOUT, NULL},
    {"08", PG_LOST, ERR_UNREACH, NULL},
    {"53300", PG_AGAIN, ERR_BUSY, NULL},   /* too many connections */
    {"40001", PG_AGAIN, ERR_BUSY, NULL},   /* serialization */
    {"40P01", PG_AGAIN, ERR_BUSY, NULL},   /* deadlock */
    {"25006", PG_LOST, ERR_UNREACH, NULL}, /* read-only: a standby that the name leads to now */
    {"26000", PG_LOST, ERR_UNREACH, NULL}, /* a pooler gave this link another session */
    {"42P01", PG_FAILED, ERR_CONFIG, "; run: sealed kbs store migrate"},
    {"3F000", PG_FAILED, ERR_CONFIG, "; run: sealed kbs store migrate"},
    {"42501", PG_FAILED, ERR_CONFIG, "; does schema \"sealed\" belong to this user?"},
};

static bool refuse(const PGresult *result, enum pg_outcome *ret_outcome, struct err *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    static const struct meaning other = {"", PG_FAILED, ERR_IO, NULL};
    const struct meaning *meaning = &other;
    for (size_t i = 0; state && i < ARRAY_LEN(meanings) && meaning == &other; i++)
        if (strncmp(state, meanings[i].state, strlen(meanings[i].state)) == 0)
            meaning = &meanings[i];
    *ret_outcome = meaning->outcome;
    return err_set(err, meaning->code, "database: %.200s (%s)%s", message ? message : "no message",
        state ? state : "no state", meaning->hint ? meaning->hint : "");
}

/* The last result of what was sent; all must be read before the next can be sent. */
static bool take_result(
    struct pg_link *link, PGresult **ret_result, enum pg_outcome *ret_outcome, struct err *err)
{
    int64_t deadline = now_ms() + link->statement_ms + GRACE_MS;
    auto_result *last = NULL;
    for (;;) {
        if (!await_result(link, deadline, ret_outcome, err))
            return false;
        PGresult *next = PQgetResult(link->conn);
        if (!next)
            break;
        bool failed = last && PQresultStatus(last) == PGRES_FATAL_ERROR;
        PQclear(failed ? next : last); /* the first error tells why */
        if (!failed)
            last = next;
    }
    if (!last)
        return lost(link, ret_outcome, err);
    ExecStatusType status = PQresultStatus(last);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        bool broken = PQstatus(link->conn) == CONNECTION_BAD;
        bool known = PQresultErrorField(last, PG_DIAG_SQLSTATE) != NULL;
        if (broken && !known)
            return lost(link, ret_outcome, err);
        refuse(last, ret_outcome, err);
        if (broken)
            *ret_outcome = PG_LOST;
        return false;
    }
    *ret_result = take_ptr(last);
    return true;
}

static bool prepare(struct pg_link *link, const struct pg_statement *statement,
    const char name[NAME_SIZE], enum pg_outcome *ret_outcome, struct err *err)
{
    auto_result *result = NULL;
    if (link->prepared & (UINT64_C(1) << statement->number))
        return true;
    if (PQsendPrepare(link->conn, name, statement->text, 0, NULL) != 1)
        return lost(link, ret_outcome, err);
    if (!take_result(link, &result, ret_outcome, err)) {
        if (*ret_outcome == PG_LOST && err->code != ERR_TIMEOUT)
            *ret_outcome =
                PG_AGAIN; /* nothing was carried out yet; the link is found broken again */
        return false;
    }
    link->prepared |= UINT64_C(1) << statement->number;
    return true;
}

static bool send_prepared(
    struct pg_link *link, const char name[NAME_SIZE], const struct pg_param *params)
{
    const char *values[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX], formats[PG_PARAMS_MAX], count = 0;
    uint64_t numbers[PG_PARAMS_MAX];
    for (; params[count].type != PG_END; count++) {
        const struct pg_param *param = &params[count];
        formats[count] = param->type != PG_TEXT;
        if (param->type == PG_TEXT) {
            values[count] = param->text;
            lengths[count] = (int)strlen(param->text);
        } else if (param->type == PG_INT) {
            numbers[count] = htobe64((uint64_t)param->number);
            values[count] = (const char *)&numbers[count];
            lengths[count] = sizeof numbers[count];
        } else { /* NULL would be SQL's */
            values[count] = param->bytes.data ? (const char *)param->bytes.data : "";
            lengths[count] = (int)param->bytes.len;
        }
    }
    return PQsendQueryPrepared(link->conn, name, count, values, lengths, formats, 1) == 1;
}

bool pg_link_run(struct pg_link *link, const struct pg_statement *statement,
    const struct pg_param *params, struct pg_rows **ret_rows, enum pg_outcome *ret_outcome,
    struct err *err)
{
    char name[NAME_SIZE];
    auto_result *result = NULL;
    snprintf(name, sizeof name, "s%u", statement->number);
    if (!prepare(link, statement, name, ret_outcome, err))
        return false;
    if (!send_prepared(link, name, params))
        return lost(link, ret_outcome, err);
    if (!take_result(link, &result, ret_outcome, err))
        return false;
    if (!ret_rows)
        return true;
    struct pg_rows *rows = malloc(sizeof *rows);
    if (!rows) {
        *ret_outcome = PG_FAILED;
        return err_nomem(err);
    }
    rows->result = take_ptr(result);
    *ret_rows = rows;
    return true;
}

bool pg_link_script(struct pg_link *link, const char *text, struct err *err)
{
    auto_result *result = NULL;
    enum pg_outcome outcome = PG_FAILED;
    if (PQsendQuery(link->conn, text) != 1)
        return lost(link, &outcome, err);
    return take_result(link, &result, &outcome, err);
}

/* -- rows ------------------------------------------------------------------------------------------- */

void pg_rows_free(struct pg_rows *rows)
{
    if (!rows)
        return;
    PQclear(rows->result);
    free(rows);
}

size_t pg_rows_count(const struct pg_rows *rows)
{
    return (size_t)PQntuples(rows->result);
}

size_t pg_rows_changed(const struct pg_rows *rows)
{
    return strtoul(PQcmdTuples(rows->result), NULL, 10);
}

struct bytes pg_rows_bytes(const struct pg_rows *rows, size_t row, int column)
{
    return bytes_of(PQgetvalue(rows->result, (int)row, column),
        (size_t)PQgetlength(rows->result, (int)row, column));
}

int64_t pg_rows_int(const struct pg_rows *rows, size_t row, int column)
{
    uint64_t number;
    struct bytes bytes = pg_rows_bytes(rows, row, column);
    if (bytes.len != sizeof number)
        return 0;
    memcpy(&number, bytes.data, sizeof number);
    return (int64_t)be64toh(number);
}
