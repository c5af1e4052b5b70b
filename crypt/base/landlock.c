/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crypt/base/log.h"
#include "crypt/base/sandbox.h"

/* Newer than the headers of Debian 12 (linux/landlock.h of 6.12). */
#define FS_TRUNCATE         (UINT64_C(1) << 14)
#define FS_IOCTL_DEV        (UINT64_C(1) << 15)
#define NET_BIND_TCP        (UINT64_C(1) << 0)
#define NET_CONNECT_TCP     (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0)
#define SCOPE_SIGNAL        (UINT64_C(1) << 1)

/* struct landlock_ruleset_attr of 6.12. A kernel takes a longer one than its own if the rest is zero. */
struct ruleset {
    uint64_t fs, net, scoped;
};

/* All rights of a kind, and the ABI that brought them. Those not handled are not restricted. */
static const struct {
    int abi;
    struct ruleset handled;
} levels[] = {
    {1, {.fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1}},
    {2, {.fs = LANDLOCK_ACCESS_FS_REFER}},
    {3, {.fs = FS_TRUNCATE}},
    {4, {.net = NET_BIND_TCP | NET_CONNECT_TCP}},
    {5, {.fs = FS_IOCTL_DEV}},
    {6, {.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL}},
};

static const struct {
    unsigned allow;
    uint64_t fs;
} rights[] = {
    {LANDLOCK_READ, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR},
    {LANDLOCK_WRITE, LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE},
    {LANDLOCK_MAKE, LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
                        LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                        LANDLOCK_ACCESS_FS_REFER},
    {LANDLOCK_DEVICE, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL_DEV},
    {LANDLOCK_RUN, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE},
};

/* The kernel refuses the others (EINVAL) for what is no directory. */
#define FILE_RIGHTS                                                                              \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | \
        FS_TRUNCATE | FS_IOCTL_DEV)

/* Set once, before there are threads. */
static int held;

int landlock_held(void)
{
    return held;
}

int landlock_abi(void)
{
    if (sandbox_relaxed())
        return 0;
    long abi =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi > 0 ? (int)abi : 0; /* ENOSYS: not built in; EOPNOTSUPP: not switched on */
}

static struct ruleset handled_by(int abi, enum landlock_net net)
{
    struct ruleset all = {0};
    for (size_t i = 0; i < ARRAY_LEN(levels) && levels[i].abi <= abi; i++) {
        all.fs |= levels[i].handled.fs;
        all.net |= levels[i].handled.net;
        all.scoped |= levels[i].handled.scoped;
    }
    if (net == LANDLOCK_NET_ANY)
        all.net = 0;
    else if (net == LANDLOCK_NET_NO_BIND)
        all.net &= NET_BIND_TCP;
    return all;
}

static bool add_rule(
    int ruleset, uint64_t handled, const struct landlock_rule *rule, struct err *err)
{
    struct stat st;
    struct landlock_path_beneath_attr beneath = {0};
    auto_fd int fd = open(rule->path, O_PATH | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
        return true; /* what cannot be reached now is not allowed later */
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set_errno(err, ERR_CONFIG, "%s, for the sandbox", rule->path);
    for (size_t i = 0; i < ARRAY_LEN(rights); i++)
        if (rule->allow & rights[i].allow)
            beneath.allowed_access |= rights[i].fs;
    beneath.allowed_access &= handled;
    if (!S_ISDIR(st.st_mode))
        beneath.allowed_access &= FILE_RIGHTS;
    beneath.parent_fd = fd;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
        return err_set_errno(err, ERR_INTERNAL, "sandbox rule for %s", rule->path);
    return true;
}

static bool enter(int abi, const struct landlock_rule *rules, size_t count, enum landlock_net net,
    struct err *err)
{
    struct ruleset handled = handled_by(abi, net);
    /* ABI 1 to 3 know the first member only, 4 and 5 the second. */
    size_t size = abi >= 6 ? sizeof handled : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    auto_fd int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, size, 0u);
    if (ruleset < 0)
        return err_set_errno(err, ERR_INTERNAL, "make a Landlock rule set");
    for (size_t i = 0; i < count; i++)
        if (rules[i].path && !add_rule(ruleset, handled.fs, &rules[i], err))
            return false;
    if (syscall(SYS_landlock_restrict_self, ruleset, 0u) < 0)
        return err_set_errno(err, ERR_INTERNAL, "enter the Landlock rule set");
    held = abi;
    return true;
}

bool landlock_enter(
    const struct landlock_rule *rules, size_t count, enum landlock_net net, struct err *err)
{
    int abi = landlock_abi();
    if (abi == 0) {
        log_debug("no Landlock: files and TCP ports are not restricted by it");
        return true;
    }
    return enter(abi, rules, count, net, err);
}

bool landlock_enter_or_warn(
    const struct landlock_rule *rules, size_t count, enum landlock_net net, struct err *err)
{
    if (!landlock_enter(rules, count, net, err))
        return false;
    if (landlock_abi() == 0 && !sandbox_relaxed())
        log_warning(
            "this kernel has no Landlock: only the user's rights and the system call "
            "filter bound which files this process can open (boot with lsm=landlock,..., or "
            "let the container's seccomp profile allow landlock_create_ruleset)");
    return true;
}
