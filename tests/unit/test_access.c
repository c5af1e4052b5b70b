/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/access.h"

#include "tests/unit/unit.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

/* Words of one list, separated by blanks. */
static void put(struct conf_list *list, const char *words)
{
    static char storage[64][80];
    static char *items[64];
    static size_t used;
    char copy[200], *rest = copy, *word;
    snprintf(copy, sizeof copy, "%s", words);
    list->items = &items[used % 64];
    while ((word = strsep(&rest, " "))) {
        snprintf(storage[used % 64], sizeof storage[0], "%s", word);
        items[used % 64] = storage[used % 64];
        used++;
        list->count++;
    }
    if (used > 48)
        used = 0;
}

static struct conf_rule rule(const char *name, enum conf_verdict verdict)
{
    return (struct conf_rule){.name = (char *)(uintptr_t)name, .verdict = (int)verdict};
}

static struct access *make(
    struct conf_rule *rules, size_t count, struct conf_file *files, size_t file_count)
{
    struct sealedfs_conf conf = {.rules = {rules, count}, .files = {files, file_count}};
    struct access *access = NULL;
    struct err err = ERR_INIT;
    assert_done(access_new(&conf, &access, &err), &err);
    return access;
}

static struct caller web(void)
{
    static char cgroup[] = "/system.slice/web.service", exe[] = "/usr/sbin/web";
    struct caller caller = {.pid = 10, .cgroup = cgroup, .exe = exe, .has_digest = true};
    return caller;
}

static struct access_question asking(const char *path, const struct caller *caller)
{
    return (struct access_question){
        .path = path, .file = ACCESS_NO_FILE, .pid = 10, .uid = 33, .gid = 34, .caller = caller};
}

static void expect(const struct access *access, const struct access_question *question,
    bool allowed, const char *by)
{
    struct access_answer answer;
    access_decide(access, question, &answer);
    if (answer.allowed != allowed || strcmp(answer.rule ? answer.rule : "", by) != 0)
        fail_msg("%s: %s by %s", question->path, answer.allowed ? "allowed" : "refused",
            answer.rule ? answer.rule : "none");
}

static void test_order(void **state)
{
    (void)state;
    struct conf_rule rules[3] = {
        rule("no-admin", VERDICT_DENY), rule("web", VERDICT_ALLOW), rule("rest", VERDICT_DENY)};
    put(&rules[0].paths, "/sealed/admin/**");
    put(&rules[1].paths, "/sealed/**");
    put(&rules[1].users, "7 33");
    put(&rules[2].paths, "/sealed/db/*");
    AUTO(access_free) struct access *access = make(rules, 3, NULL, 0);
    struct caller caller = web();
    struct access_question question = asking("/sealed/db/password", &caller);
    expect(access, &question, true, "web");
    question.path = "/sealed/admin/key";
    expect(access, &question, false, "no-admin");
    question.uid = 1;
    question.path = "/sealed/db/password";
    expect(access, &question, false, "rest");
    question.path = "/sealed/other";
    expect(access, &question, false, "");
    question.path = "/elsewhere";
    expect(access, &question, true, "");
    assert_int_equal(access_needs(access, "/elsewhere", ACCESS_NO_FILE), 0);
    assert_int_equal(access_needs(access, "/sealed/x", ACCESS_NO_FILE), ACCESS_RULED);
}

static void test_kinds(void **state)
{
    (void)state;
    struct conf_rule rules[1] = {rule("all", VERDICT_ALLOW)};
    put(&rules[0].users, "root 33");
    put(&rules[0].groups, "99 34");
    put(&rules[0].cgroups, "/system.slice/*.service");
    put(&rules[0].exes, "/usr/bin/* /usr/sbin/*");
    put(&rules[0].exe_sha256, ZEROS);
    AUTO(access_free) struct access *access = make(rules, 1, NULL, 0);
    struct caller caller = web();
    struct access_question question = asking("/any", &caller);
    assert_int_equal(access_needs(access, "/any", ACCESS_NO_FILE),
        ACCESS_RULED | ACCESS_CALLER | ACCESS_GROUPS | CALLER_EXE | CALLER_DIGEST);
    expect(access, &question, true, "all");

    question.uid = 34;
    expect(access, &question, false, "");
    question.uid = 0;
    expect(access, &question, true, "all");

    const gid_t groups[] = {5, 99};
    question.gid = 1;
    expect(access, &question, false, "");
    question.groups = groups;
    question.group_count = 1;
    expect(access, &question, false, "");
    question.group_count = 2;
    expect(access, &question, true, "all");

    caller.digest[31] = 1;
    expect(access, &question, false, "");
    caller.digest[31] = 0;
    caller.has_digest = false;
    expect(access, &question, false, "");
    caller.has_digest = true;

    static char other[] = "/system.slice/sub/web.service", nothing[] = "";
    caller.cgroup = other;
    expect(access, &question, false, "");
    caller.cgroup = nothing;
    expect(access, &question, false, "");
    caller = web();
    caller.exe = nothing;
    expect(access, &question, false, "");
    caller = web();
    question.pid = 0;
    expect(access, &question, false, "");
}

static void test_pods(void **state)
{
    (void)state;
    struct conf_rule rules[2] = {rule("not-this", VERDICT_DENY), rule("pod", VERDICT_ALLOW)};
    put(&rules[0].containers, "dead*");
    put(&rules[1].pods, "0a1b2c3d-*");
    AUTO(access_free) struct access *access = make(rules, 2, NULL, 0);
    struct caller caller = web();
    struct access_question question = asking("/any", &caller);
    expect(access, &question, false, ""); /* in no pod and no container, which is known */
    snprintf(caller.names.pod, sizeof caller.names.pod, "0a1b2c3d-1");
    expect(access, &question, true, "pod");
    snprintf(caller.names.container, sizeof caller.names.container, "deadbeef");
    expect(access, &question, false, "not-this");
}

/* What is not known must not let a caller slip by a rule that denies. */
static void test_unknown(void **state)
{
    (void)state;
    struct conf_rule rules[2] = {rule("no-shell", VERDICT_DENY), rule("rest", VERDICT_ALLOW)};
    put(&rules[0].exes, "/bin/sh");
    AUTO(access_free) struct access *access = make(rules, 2, NULL, 0);
    struct caller caller = web();
    struct access_question question = asking("/any", &caller);
    static char nothing[] = "";
    expect(access, &question, true, "rest");
    caller.exe = nothing;
    expect(access, &question, false, "no-shell");
    question.caller = NULL;
    expect(access, &question, false, "no-shell");
    question.caller = &caller;
    caller = web();
    question.pid = 0;
    expect(access, &question, false, "no-shell");
}

static void test_files(void **state)
{
    (void)state;
    struct conf_rule rules[2] = {rule("of-one", VERDICT_ALLOW), rule("db", VERDICT_ALLOW)};
    char one[] = "one", two[] = "two";
    struct conf_file files[2] = {{.name = one}, {.name = two}};
    put(&rules[0].users, "1");
    put(&rules[1].paths, "/sealed/db");
    put(&rules[1].users, "33");
    put(&files[0].rules, "of-one");
    AUTO(access_free) struct access *access = make(rules, 2, files, 2);
    struct caller caller = web();
    struct access_question question = asking("/sealed/x", &caller);
    expect(access, &question, true, ""); /* a rule that a file names is not for everything */
    question.file = 0;
    expect(access, &question, false, "");
    question.uid = 1;
    expect(access, &question, true, "of-one");
    question.file = 1;
    question.path = "/sealed/db";
    expect(access, &question, false, "");
    question.uid = 33;
    expect(access, &question, true, "db");
    question.file = 0;
    expect(access, &question, true, "db");
}

static void test_refused(void **state)
{
    (void)state;
    struct conf_rule rules[1] = {rule("r", VERDICT_ALLOW)};
    struct sealedfs_conf conf = {.rules = {rules, 1}};
    struct access *access = NULL;
    struct err err = ERR_INIT;
    put(&rules[0].users, "nobody-of-this-name");
    assert_refused(
        access_new(&conf, &access, &err), &err, ERR_CONFIG, "[rule:r]: there is no user");
    rules[0] = rule("r", VERDICT_ALLOW);
    put(&rules[0].groups, "-1");
    assert_refused(access_new(&conf, &access, &err), &err, ERR_CONFIG, "no group -1");
    rules[0] = rule("r", VERDICT_ALLOW);
    put(&rules[0].exes, "/bin/[");
    assert_refused(access_new(&conf, &access, &err), &err, ERR_CONFIG, "[rule:r]: pattern");
    static const char *const digests[] = {"", "00", ZEROS "0", "g" ZEROS};
    for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
        rules[0] = rule("r", VERDICT_ALLOW);
        put(&rules[0].exe_sha256, digests[i]);
        assert_refused(access_new(&conf, &access, &err), &err, ERR_CONFIG, "64 hexadecimal");
    }
    assert_null(access);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_pods),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
