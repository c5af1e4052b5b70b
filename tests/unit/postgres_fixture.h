/* SPDX-License-Identifier: Apache-2.0 */
/* A real PostgreSQL server of Debian for one test program: a cluster of its own in a directory of its own, reached by a socket in it alone, run by
 * an unprivileged user, gone with the program. Nothing is made durable against a crash of the machine, which makes it fast. */
#pragma once

#include <ftw.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kbs/server/store/store_pg.h"
#include "tests/unit/unit.h"

struct postgres {
    char dir[64], programs[128];
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* The newest that is installed. */
static inline void postgres_find(struct postgres *postgres)
{
    glob_t found;
    assert_int_equal(glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found), 0);
    snprintf(postgres->programs, sizeof postgres->programs, "%.100s",
        found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    *strrchr(postgres->programs, '/') = '\0';
}

/* As the user whom Debian's package makes, when this is root, whom PostgreSQL refuses. */
static inline pid_t postgres_spawn(const struct postgres *postgres, const char *command)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    if (geteuid() == 0 && (setgid(postgres->gid) != 0 || setuid(postgres->uid) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    execl("/bin/sh", "sh", "-c", command, NULL);
    _exit(127);
}

static inline struct pg_target postgres_target(const struct postgres *postgres)
{
    return (struct pg_target){.host = postgres->dir,
        .port = 5432,
        .database = "postgres",
        .user = "test",
        .tls = PG_TLS_OFF,
        .connect_ms = 60000,
        .statement_ms = 60000};
}

static inline struct store_pg_conf postgres_conf(const struct postgres *postgres)
{
    return (struct store_pg_conf){
        .target = postgres_target(postgres), .links = 4, .retry_ms = 60000, .start_ms = 120000};
}

static inline void postgres_start(struct postgres *postgres)
{
    char command[512];
    snprintf(command, sizeof command,
        "exec %s/postgres -D %s/data -k %s -c listen_addresses= -c fsync=off "
        "-c full_page_writes=off -c max_connections=40 >>%s/log 2>&1",
        postgres->programs, postgres->dir, postgres->dir, postgres->dir);
    postgres->pid = postgres_spawn(postgres, command);
}

/* SIGINT: sessions are cut off. SIGQUIT: as if it crashed. */
static inline void postgres_stop(struct postgres *postgres, int signo)
{
    int status;
    kill(postgres->pid, signo);
    assert_int_equal(waitpid(postgres->pid, &status, 0), postgres->pid);
}

static inline void postgres_setup(struct postgres *postgres)
{
    char command[512];
    int status = -1;
    const struct passwd *user = getpwnam("postgres");
    assert_true(user || geteuid() != 0);
    postgres->uid = user ? user->pw_uid : geteuid();
    postgres->gid = user ? user->pw_gid : getegid();
    strcpy(postgres->dir, "/tmp/sealed-postgres.XXXXXX");
    assert_non_null(mkdtemp(postgres->dir));
    if (geteuid() == 0)
        assert_int_equal(chown(postgres->dir, postgres->uid, postgres->gid), 0);
    postgres_find(postgres);
    snprintf(command, sizeof command,
        "exec %s/initdb -D %s/data -U test -A trust -E UTF8 --locale=C --no-sync >>%s/log 2>&1",
        postgres->programs, postgres->dir, postgres->dir);
    pid_t pid = postgres_spawn(postgres, command);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    postgres_start(postgres);
}

/* An empty store; the server may still be starting. */
static inline void postgres_fresh(const struct postgres *postgres)
{
    struct err cause = ERR_INIT;
    const struct store_pg_conf conf = postgres_conf(postgres);
    struct pg_link *link = NULL;
    int64_t from, to;
    const struct timespec pause = {0, 20000000};
    for (int i = 0; i < 6000 && !pg_link_open(&conf.target, &link, &cause); i++)
        nanosleep(&pause, NULL);
    assert_non_null(link);
    assert_done(pg_link_script(link, "DROP SCHEMA IF EXISTS sealed CASCADE", &cause), &cause);
    pg_link_free(link);
    assert_done(store_pg_migrate(&conf, &from, &to, &cause), &cause);
}

static inline int postgres_remove(
    const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void postgres_teardown(struct postgres *postgres)
{
    postgres_stop(postgres, SIGINT);
    assert_int_equal(nftw(postgres->dir, postgres_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}
