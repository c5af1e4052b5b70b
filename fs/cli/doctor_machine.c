/* SPDX-License-Identifier: Apache-2.0 */
/* Users, limits, /dev/fuse and the mounts. */
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/cli/doctor.h"
#include "fs/mount.h"
#include "fs/mountinfo.h"
#include "fs/path.h"

#define ATTESTD_USER  "sealed-attest"
#define MEMORY_BESIDE (2 * 1024 * 1024)

/* -- users and limits --------------------------------------------------------------------------- */

void doctor_users(struct doctor *doctor)
{
    const char *names[] = {doctor->conf.mount.user, ATTESTD_USER};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct err err = ERR_INIT;
        if (getpwnam(names[i]))
            doctor_say(doctor, DOCTOR_OK, "user", names[i], "exists");
        else {
            err_set(&err, ERR_CONFIG, "does not exist");
            doctor_fail(doctor, "user", names[i], &err, "create it with: systemd-sysusers");
        }
    }
}

void doctor_memory(struct doctor *doctor)
{
    struct rlimit limit;
    unsigned long long want = (unsigned long long)doctor->conf.secrets.memory + MEMORY_BESIDE;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
        return;
    if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= want || geteuid() == 0)
        doctor_say(doctor, limit.rlim_max >= want ? DOCTOR_OK : DOCTOR_WARN, "memory", NULL,
            limit.rlim_max >= want
                ? "%llu KiB can be locked"
                : "%llu KiB are to be locked and this shell's limit is lower: a daemon needs "
                  "LimitMEMLOCK= in its unit, or CAP_SYS_RESOURCE at its start",
            want / 1024);
    else
        doctor_say(doctor, DOCTOR_SKIP, "memory", NULL, "only root can say what a daemon may lock");
}

void doctor_fuse(struct doctor *doctor)
{
    struct err err = ERR_INIT;
    auto_fd int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        doctor_say(doctor, DOCTOR_OK, "fuse", NULL, "/dev/fuse can be opened");
    else {
        err_set_errno(&err, ERR_CONFIG, "/dev/fuse");
        doctor_fail(
            doctor, "fuse", NULL, &err, "run: modprobe fuse; in a container: give it the device");
    }
}

/* -- sources ------------------------------------------------------------------------------------ */

static void look_at_path(struct doctor *doctor, const char *path, mode_t type, const char *remedy)
{
    struct stat st;
    struct err err = ERR_INIT;
    if (stat(path, &st) < 0) {
        err_set_errno(&err, ERR_CONFIG, "cannot be looked at");
        doctor_fail(doctor, "source", path, &err, remedy);
    } else if ((st.st_mode & S_IFMT) != type) {
        err_set(&err, ERR_CONFIG, "not a %s", type == S_IFDIR ? "directory" : "regular file");
        doctor_fail(doctor, "source", path, &err, remedy);
    } else {
        doctor_say(doctor, DOCTOR_OK, "source", path, "is there");
    }
}

void doctor_sources(struct doctor *doctor)
{
    const struct sealedfs_conf *conf = &doctor->conf;
    if (conf->kbs.ca_file)
        look_at_path(doctor, conf->kbs.ca_file, S_IFREG, "set ca_file in [kbs]");
    if (conf->secrets.signer_files)
        look_at_path(doctor, conf->secrets.signer_files, S_IFDIR, "set signer_files in [secrets]");
    for (size_t i = 0; i < conf->sources.count; i++)
        look_at_path(doctor, conf->sources.items[i].directory, S_IFDIR,
            "set directory in its section [source:NAME]");
    for (size_t i = 0; i < conf->files.count; i++)
        if (conf->files.items[i].sealed_file)
            look_at_path(doctor, conf->files.items[i].sealed_file, S_IFREG,
                "set sealed_file in its section [file:NAME]");
}

/* -- mounts ------------------------------------------------------------------------------------- */

/* In a child, which a mount that does not answer may keep: its errno, ETIMEDOUT when it does not answer. */
static int ask_mount(const char *path)
{
    int ends[2], answer = ETIMEDOUT;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return errno;
    auto_fd int from = ends[0];
    pid_t child = fork();
    if (child == 0) {
        struct statvfs fs;
        int failed = statvfs(path, &fs) < 0 ? errno : 0;
        _exit(write(ends[1], &failed, sizeof failed) != sizeof failed);
    }
    close(ends[1]);
    struct pollfd wait = {.fd = from, .events = POLLIN};
    if (child < 0)
        return errno;
    if (poll(&wait, 1, DOCTOR_WAIT_MS) == 1 && read(from, &answer, sizeof answer) != sizeof answer)
        answer = EIO;
    if (answer == ETIMEDOUT)
        kill(child, SIGKILL); /* and not waited for: it may be in the kernel for good */
    else
        waitpid(child, NULL, 0);
    return answer;
}

static void look_at_mount(struct doctor *doctor, const struct mountinfo *mount)
{
    struct err err = ERR_INIT;
    char remedy[PATH_SIZE + 64];
    int failed = ask_mount(mount->path);
    if (failed == 0) {
        doctor_say(doctor, DOCTOR_OK, "mount", mount->path, "it answers");
    } else {
        snprintf(remedy, sizeof remedy,
            failed == ENOTCONN
                ? "nobody serves it any more; run: umount -l %s, and start sealedfs again"
                : "look at the log of the worker (journalctl -t sealedfs) for %s",
            mount->path);
        err_set_at(&err, ERR_CONFIG, failed, __FILE__, __LINE__, "it does not answer");
        doctor_fail(doctor, "mount", mount->path, &err, remedy);
    }
    if (mount->shared)
        doctor_say(
            doctor, DOCTOR_OK, "propagation", mount->path, "shared with other mount namespaces");
    else
        doctor_say(doctor, DOCTOR_WARN, "propagation", mount->path,
            "private: a container that is running does not see it come; before it is mounted, run: "
            "mount --make-rshared on "
            "the file system that it lies on");
}

struct survey {
    struct doctor *doctor;
    size_t found;
    bool *seen; /* one a configured mount */
};

static void survey_one(void *arg, const struct mountinfo *mount)
{
    struct survey *survey = arg;
    const struct sealedfs_conf *conf = &survey->doctor->conf;
    if (strcmp(mount->type, MOUNT_TYPE) != 0)
        return;
    survey->found++;
    for (size_t i = 0; i < conf->mounts.count; i++)
        if (strcmp(conf->mounts.items[i].path, mount->path) == 0)
            survey->seen[i] = true;
    look_at_mount(survey->doctor, mount);
}

void doctor_mounts(struct doctor *doctor)
{
    size_t count = doctor->conf.mounts.count;
    auto_free bool *seen = calloc(count + 1, sizeof *seen);
    struct survey survey = {.doctor = doctor, .seen = seen};
    struct err err = ERR_INIT;
    if (!seen || !mountinfo_each(survey_one, &survey, &err)) {
        doctor_fail(doctor, "mount", NULL, &err, NULL);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (!seen[i]) {
            err_set(&err, ERR_CONFIG, "not mounted");
            doctor_fail(doctor, "mount", doctor->conf.mounts.items[i].path, &err,
                "run: systemctl start sealedfs");
        }
    if (survey.found + count == 0)
        doctor_say(doctor, DOCTOR_SKIP, "mount", NULL, "none is configured and none is there");
}
