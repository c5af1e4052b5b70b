/* SPDX-License-Identifier: Apache-2.0 */
/* sealed log: who opened what, from the audit file, or from the journal where that is the only sink. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fs/cli/tool.h"
#include "fs/sealedfs_conf.h"

#define LINE_MAX_BYTES (256u * 1024u)
#define FOLLOW_MS      200

struct log_args {
    bool follow, json, all;
    const char *config, *file;
};

static const struct cli_option log_options[] = {
    {"follow", 'f', CLI_FLAG, offsetof(struct log_args, follow), NULL,
        "go on with what is recorded from now on"},
    {"all", 'a', CLI_FLAG, offsetof(struct log_args, all), NULL,
        "begin with the files that were put aside"},
    {"json", 0, CLI_FLAG, offsetof(struct log_args, json), NULL,
        "print the records as they are, an object a line"},
    {"config", 'c', CLI_TEXT, offsetof(struct log_args, config), "FILE",
        "configuration that names the audit file; default: " SEALEDFS_CONF_DEFAULT},
    {"file", 0, CLI_TEXT, offsetof(struct log_args, file), "FILE", "the audit file itself"},
};

/* -- one record --------------------------------------------------------------------------------- */

static const char *member(const json_t *record, const char *name)
{
    const char *text = json_member_text(record, name);
    return text ? text : "";
}

static long long number(const json_t *record, const char *name)
{
    return (long long)json_integer_value(json_object_get(record, name));
}

/* "refused  /sealed/db/password  by rule web (EACCES, r-3f2a-17)": what is said depends on what there is. */
static bool print_why(const json_t *record, struct err *err)
{
    const char *cause = member(record, "cause"), *rule = member(record, "rule");
    const char *name = member(record, "errno");
    if (*rule && !tool_printf(err, "  rule %s", rule))
        return false;
    if (*cause && !tool_printf(err, "  %s",
                      strcmp(cause, "rule") == 0 && !*rule ? "no rule allows it" : cause))
        return false;
    return !*name || tool_printf(err, "  %s %s", name, member(record, "id"));
}

static bool print_record(const json_t *record, struct err *err)
{
    const char *exe = member(record, "exe"), *version = member(record, "version");
    return tool_printf(err, "%s %-7s %s  uid %lld pid %lld%s%s", member(record, "time"),
               member(record, "verdict"), member(record, "path"), number(record, "uid"),
               number(record, "pid"), *exe ? " " : "", exe) &&
           print_why(record, err) && (!*version || tool_printf(err, "  version %s", version)) &&
           tool_printf(err, "  %.3f ms\n", json_number_value(json_object_get(record, "ms")));
}

static bool print_line(const struct log_args *args, const char *line, size_t len, struct err *err)
{
    auto_json *record = NULL;
    struct err broken = ERR_INIT;
    if (args->json)
        return tool_printf(err, "%.*s\n", (int)len, line);
    if (!json_load_strict(bytes_of(line, len), LINE_MAX_BYTES, "record", &record, &broken)) {
        fprintf(stderr, "sealed: a line that is no record is left out\n");
        return true;
    }
    return print_record(record, err);
}

/* -- a stream of lines -------------------------------------------------------------------------- */

/* What there is of whole lines, until the end or a line that is not finished yet, which is kept in `rest`. */
static bool print_new(const struct log_args *args, int fd, struct buf *rest, struct err *err)
{
    for (;;) {
        uint8_t *room;
        if (!buf_reserve(rest, 65536, &room, err))
            return err_wrap(err, "a line that does not end");
        ssize_t len = read(fd, room, 65536);
        if (len < 0 && errno != EINTR)
            return err_set_errno(err, ERR_IO, "read the audit");
        if (len == 0)
            return true;
        buf_commit(rest, len > 0 ? (size_t)len : 0);
        size_t start = 0;
        const uint8_t *end;
        while ((end = memchr(rest->data + start, '\n', rest->len - start))) {
            size_t at = (size_t)(end - rest->data);
            if (!print_line(args, (const char *)rest->data + start, at - start, err))
                return false;
            start = at + 1;
        }
        memmove(rest->data, rest->data + start, rest->len - start);
        buf_truncate(rest, rest->len - start);
    }
}

static bool flush_output(struct err *err)
{
    return fflush(stdout) == 0 || err_set_errno(err, ERR_IO, "write to standard output");
}

/* -- the file ----------------------------------------------------------------------------------- */

static bool open_log(const char *path, int *ret_fd, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_set_errno(err, errno == EACCES ? ERR_DENIED_LOCAL : ERR_IO,
            "%s (root and the group of the file may read it)", path);
    *ret_fd = fd;
    return true;
}

/* For a moment of a rotation there is no file; who follows waits for the next one, and for the first. */
static bool await_log(const struct log_args *args, const char *path, int *ret_fd, struct err *err)
{
    for (bool told = false; !open_log(path, ret_fd, err); told = true) {
        if (!args->follow || err->sys_errno != ENOENT)
            return false;
        if (!told)
            fprintf(stderr, "sealed: waiting for %s\n", path);
        err_clear(err);
        (void)poll(NULL, 0, FOLLOW_MS);
    }
    return true;
}

static bool print_aside(const struct log_args *args, const char *path, struct err *err)
{
    char name[4096];
    int count = 0;
    do
        snprintf(name, sizeof name, "%s.%d", path, ++count);
    while (access(name, F_OK) == 0);
    while (--count > 0) {
        auto_buf rest = BUF_INIT(LINE_MAX_BYTES);
        snprintf(name, sizeof name, "%s.%d", path, count);
        auto_fd int fd = -1;
        if (!open_log(name, &fd, err) || !print_new(args, fd, &rest, err))
            return false;
    }
    return true;
}

static bool was_put_aside(const char *path, int fd)
{
    struct stat here, there;
    return fstat(fd, &here) == 0 && stat(path, &there) == 0 &&
           (here.st_ino != there.st_ino || here.st_dev != there.st_dev);
}

/* Before the next file is begun, this one is read to its end: it was put aside after its last line. */
static bool follow(const struct log_args *args, const char *path, int fd, struct err *err)
{
    auto_buf rest = BUF_INIT(LINE_MAX_BYTES);
    for (;;) {
        bool aside = was_put_aside(path, fd);
        if (!print_new(args, fd, &rest, err) || !flush_output(err))
            return false;
        if (!args->follow)
            return true;
        if (aside) {
            auto_fd int next = -1;
            if (!await_log(args, path, &next, err))
                return false;
            buf_truncate(&rest, 0);
            if (dup3(next, fd, O_CLOEXEC) < 0)
                return err_set_errno(err, ERR_INTERNAL, "next audit file");
        } else {
            (void)poll(NULL, 0, FOLLOW_MS);
        }
    }
}

static bool print_file(const struct log_args *args, const char *path, struct err *err)
{
    auto_fd int fd = -1;
    return (!args->all || print_aside(args, path, err)) && await_log(args, path, &fd, err) &&
           follow(args, path, fd, err);
}

/* -- the journal -------------------------------------------------------------------------------- */

/* Anybody may write to the journal; what the monitor wrote is known by _UID, which the journal itself sets. */
static void become_journalctl(const struct log_args *args)
{
    execlp("journalctl", "journalctl", "--no-pager", "--output=cat", "--quiet", "_UID=0",
        "SYSLOG_IDENTIFIER=sealedfs", "SEALED_AUDIT=allowed", "SEALED_AUDIT=stale",
        "SEALED_AUDIT=refused", "SEALED_AUDIT=failed", args->follow ? "--follow" : (char *)NULL,
        "--lines=all", (char *)NULL);
    fprintf(stderr, "sealed: cannot run journalctl: %s\n", strerror(errno));
    _exit(127);
}

static bool print_journal(const struct log_args *args, struct err *err)
{
    int ends[2], status = 0;
    auto_buf rest = BUF_INIT(LINE_MAX_BYTES);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set_errno(err, ERR_NOMEM, "pipe");
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        become_journalctl(args);
    }
    close(ends[1]);
    auto_fd int fd = ends[0];
    if (child < 0)
        return err_set_errno(err, ERR_NOMEM, "fork");
    setvbuf(stdout, NULL, args->follow ? _IOLBF : _IOFBF, 65536);
    bool done = print_new(args, fd, &rest, err) && flush_output(err);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (done && status != 0)
        return err_set(err, ERR_IO, "journalctl failed");
    return done;
}

/* -- the command -------------------------------------------------------------------------------- */

static bool print_configured(const struct log_args *args, struct err *err)
{
    struct sealedfs_conf conf;
    if (!sealedfs_conf_load(args->config, NULL, NULL, &conf, err))
        return false;
    bool done;
    if (conf.audit.policy == AUDIT_OFF)
        done = err_set(err, ERR_CONFIG, "audit.policy is off: opens are not recorded");
    else if (conf.audit.file)
        done = print_file(args, conf.audit.file, err);
    else if (conf.audit.journal)
        done = print_journal(args, err);
    else
        done = err_set(
            err, ERR_CONFIG, "neither audit.file nor audit.journal is set: nothing is recorded");
    sealedfs_conf_done(&conf);
    return done;
}

static bool run_log(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct log_args *args = options;
    (void)operands, (void)operand_count;
    return args->file ? print_file(args, args->file, err) : print_configured(args, err);
}

const struct cli_command tool_log = {
    .name = "log",
    .operands = "",
    .summary = "show who opened what, and what came of it",
    .detail = "Reads the audit file that sealedfs.conf names, or the journal where there is none. "
              "Run it as root, or in the file's group.",
    .options = log_options,
    .option_count = ARRAY_LEN(log_options),
    .args_size = sizeof(struct log_args),
    .run = run_log,
};
