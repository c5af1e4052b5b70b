/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/namespace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "fs/catalogue.h"
#include "fs/frame.h"
#include "fs/resume.h"

struct mirror {
    int fd;         /* O_PATH directory */
    const char *at; /* "": the root */
    uint16_t source;
};

/* A file of the catalogue that lies elsewhere: its directory stays the one that it was at the start. */
struct elsewhere {
    size_t file; /* place in conf.files */
    int dir_fd;
    char *name;
};

struct namespace
{
    const struct sealedfs_conf *conf;
    const struct state *state; /* NULL: a first start. Only used while it is made */
    struct catalogue catalogue;
    struct frame *frame; /* NULL: nothing but one mirror at the root */
    struct mirror *mirrors;
    size_t mirror_count; /* the longest place first */
    struct elsewhere *elsewhere;
    size_t elsewhere_count;
};

/* -- routes ------------------------------------------------------------------------------------ */

/* What is left of the path at or below the place; NULL: it lies elsewhere. */
static const char *below(const char *path, const char *at)
{
    size_t len = strlen(at);
    if (len == 0)
        return path;
    if (strncmp(path, at, len) != 0 || (path[len] != '/' && path[len] != '\0'))
        return NULL;
    return path[len] ? path + len + 1 : path + len;
}

static const struct mirror *find_mirror(
    const struct namespace *space, const char *path, const char **ret_rest)
{
    for (size_t i = 0; i < space->mirror_count; i++) {
        *ret_rest = below(path, space->mirrors[i].at);
        if (*ret_rest)
            return &space->mirrors[i];
    }
    return NULL;
}

static bool is_by_name(const struct namespace *space, const char *path)
{
    return space->frame && frame_has_names(space->frame) && below(path, BY_NAME_DIR);
}

/* Is there nothing in a mirror that could be a directory, and not just some trouble in getting at it? */
static bool is_absent(int sys_errno)
{
    return sys_errno == ENOENT || sys_errno == ENOTDIR || sys_errno == ELOOP;
}

static bool is_dir(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* -- opening ----------------------------------------------------------------------------------- */

static int found(int fd, enum origin_kind kind, size_t index, struct namespace_file *ret_file)
{
    if (fd < 0)
        return errno;
    *ret_file = (struct namespace_file){
        .fd = fd, .origin = {(uint8_t)kind, (uint16_t)index}, .content_fd = -1};
    return 0;
}

static int open_frame(const struct namespace *space, const struct beneath_own *own,
    const char *path, enum origin_kind kind, size_t index, struct namespace_file *ret_file)
{
    return found(beneath_open_file(own, frame_fd(space->frame), path), kind, index, ret_file);
}

static const struct elsewhere *find_elsewhere(const struct namespace *space, size_t file)
{
    for (size_t i = 0; i < space->elsewhere_count; i++)
        if (space->elsewhere[i].file == file)
            return &space->elsewhere[i];
    return NULL;
}

static int open_catalogued(const struct namespace *space, const struct beneath_own *own,
    const struct catalogue_entry *entry, struct namespace_file *ret_file)
{
    int failed = open_frame(space, own, entry->path, ORIGIN_FILE, entry->file, ret_file);
    const struct elsewhere *elsewhere = find_elsewhere(space, entry->file);
    if (failed || !elsewhere)
        return failed;
    ret_file->elsewhere = true;
    ret_file->content_fd = beneath_follow_file(elsewhere->dir_fd, elsewhere->name);
    ret_file->content_errno = ret_file->content_fd < 0 ? errno : 0;
    return 0;
}

static int open_by_name(const struct namespace *space, const struct beneath_own *own,
    const char *path, struct namespace_file *ret_file)
{
    int failed = frame_add_name(space->frame, path);
    return failed ? failed : open_frame(space, own, path, ORIGIN_BY_NAME, 0, ret_file);
}

int namespace_open(struct namespace *space, const struct beneath_own *own, const char *path,
    struct namespace_file *ret_file)
{
    const char *rest;
    const struct catalogue_entry *entry = catalogue_find(&space->catalogue, path);
    if (is_by_name(space, path))
        return open_by_name(space, own, path, ret_file);
    if (entry && !entry->is_dir)
        return open_catalogued(space, own, entry, ret_file);
    const struct mirror *mirror = find_mirror(space, path, &rest);
    auto_fd int fd = mirror ? beneath_open_file(own, mirror->fd, rest) : -1;
    bool implied = entry && space->frame;
    if (mirror && (!implied || (fd >= 0 ? is_dir(fd) : !is_absent(errno))))
        return found(take_fd(fd), ORIGIN_SOURCE, mirror->source, ret_file);
    return implied ? open_frame(space, own, path, ORIGIN_NONE, 0, ret_file) : ENOENT;
}

/* -- listing ----------------------------------------------------------------------------------- */

struct dirent64_head {
    uint64_t inode;
    int64_t cookie;
    uint16_t len;
    uint8_t type;
    char name[];
} __attribute__((packed));

struct listing {
    const struct namespace *space;
    const char *path;
    namespace_sink_fn *sink;
    void *arg;
};

/* Has the frame something of this name, which is told when its turn comes? */
static bool is_framed(const struct listing *listing, const char *name)
{
    char path[PATH_SIZE];
    const struct namespace *space = listing->space;
    return space->frame && path_join(listing->path, name, path) &&
           (catalogue_find(&space->catalogue, path) || is_by_name(space, path));
}

/* What getdents64 gave. False: no room. */
static bool tell_mirrored(const struct listing *listing, const char *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        const struct dirent64_head *head = (const void *)(data + at);
        struct monitor_entry entry = {
            .inode = head->inode, .cookie = (uint64_t)head->cookie, .type = head->type};
        size_t name_len = strnlen(head->name, head->len - offsetof(struct dirent64_head, name));
        at += head->len;
        if (name_len >= sizeof entry.name) /* VFAT and others have them; a lookup refuses them */
            continue;
        memcpy(entry.name, head->name, name_len);
        if (!is_framed(listing, entry.name) && !listing->sink(listing->arg, &entry))
            return false;
    }
    return true;
}

static int list_mirror(const struct listing *listing, int fd, uint64_t cookie, bool *ret_end)
{
    char data[8192] __attribute__((aligned(8)));
    *ret_end = false;
    if (cookie > 0 && lseek(fd, (off_t)cookie, SEEK_SET) < 0)
        return errno;
    for (;;) {
        long len = syscall(SYS_getdents64, fd, data, sizeof data);
        if (len < 0)
            return errno;
        *ret_end = len == 0;
        if (len == 0 || !tell_mirrored(listing, data, (size_t)len))
            return 0;
    }
}

static bool tell_framed(
    const struct listing *listing, const char *name, const char *path, size_t place)
{
    struct stat st;
    struct monitor_entry entry = {.cookie = (uint64_t)NAMESPACE_COOKIES + place + 1};
    if (fstatat(frame_fd(listing->space->frame), *path ? path : ".", &st, AT_SYMLINK_NOFOLLOW) < 0)
        return true;
    entry.inode = st.st_ino;
    entry.type = (uint8_t)IFTODT(st.st_mode);
    snprintf(entry.name, sizeof entry.name, "%s", name);
    return listing->sink(listing->arg, &entry);
}

/* Places: 0 and 1 are "." and "..", which a mirror has told already if there is one; then the catalogue's, in its order. */
static bool list_frame(
    const struct listing *listing, const struct catalogue_entry *dir, size_t place)
{
    static const char *const dots[] = {".", ".."};
    const struct catalogue *catalogue = &listing->space->catalogue;
    for (; place < ARRAY_LEN(dots); place++)
        if (!tell_framed(listing, dots[place], listing->path, place))
            return false;
    for (size_t i = place - ARRAY_LEN(dots); dir && i < catalogue->count; i++) {
        const struct catalogue_entry *entry = &catalogue->entries[i];
        if (i > 0 && &catalogue->entries[entry->parent] == dir &&
            !tell_framed(listing, catalogue_name(entry), entry->path, i + ARRAY_LEN(dots)))
            return false;
    }
    return true;
}

int namespace_list(struct namespace *space, const struct beneath_own *own, const char *path,
    uint64_t cookie, namespace_sink_fn *sink, void *arg, bool *ret_end)
{
    const char *rest;
    const struct catalogue_entry *dir = catalogue_find(&space->catalogue, path);
    struct listing listing = {space, path, sink, arg};
    bool by_name = is_by_name(space, path);
    bool in_frame = cookie >= (uint64_t)NAMESPACE_COOKIES && cookie < INT64_MAX;
    const struct mirror *mirror = by_name ? NULL : find_mirror(space, path, &rest);
    *ret_end = false;
    if (dir && !dir->is_dir)
        return ENOTDIR;
    auto_fd int fd = mirror ? beneath_open_dir(own, mirror->fd, rest) : -1;
    if (mirror && fd < 0 && !is_absent(errno))
        return errno;
    if (fd < 0 && !by_name && (!dir || !space->frame))
        return mirror ? errno : ENOENT;
    if (fd >= 0 && !in_frame) {
        bool end;
        int failed = list_mirror(&listing, fd, cookie, &end);
        if (failed || !end)
            return failed;
    }
    size_t place = in_frame ? (size_t)(cookie - (uint64_t)NAMESPACE_COOKIES) : fd >= 0 ? 2 : 0;
    *ret_end = !space->frame || list_frame(&listing, dir, place);
    return 0;
}

/* -- life -------------------------------------------------------------------------------------- */

static int longest_first(const void *a, const void *b)
{
    size_t left = strlen(((const struct mirror *)a)->at);
    size_t right = strlen(((const struct mirror *)b)->at);
    return (left < right) - (left > right);
}

static bool open_source(
    const struct namespace *space, const char *directory, int *ret_fd, struct err *err)
{
    if (space->state)
        return resume_open_source(space->state, directory, ret_fd, err);
    *ret_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *ret_fd >= 0 || err_set_errno(err, ERR_CONFIG, "source directory %s", directory);
}

static bool add_mirrors(struct namespace *space, size_t mount, struct err *err)
{
    const struct sealedfs_conf *conf = space->conf;
    space->mirrors = calloc(conf->sources.count + 1, sizeof *space->mirrors);
    if (!space->mirrors)
        return err_nomem(err);
    for (size_t i = 0; i < conf->sources.count; i++) {
        const struct conf_source *source = &conf->sources.items[i];
        if (source->mount != mount)
            continue;
        int fd;
        if (!open_source(space, source->directory, &fd, err))
            return false;
        space->mirrors[space->mirror_count++] =
            (struct mirror){fd, source->at ? source->at : "", (uint16_t)i};
    }
    qsort(space->mirrors, space->mirror_count, sizeof *space->mirrors, longest_first);
    return true;
}

static bool add_elsewhere(struct namespace *space, size_t file, struct err *err)
{
    const char *path = space->conf->files.items[file].sealed_file;
    auto_free char *for_dir = strdup(path), *for_name = strdup(path);
    struct elsewhere *elsewhere = &space->elsewhere[space->elsewhere_count];
    if (!for_dir || !for_name)
        return err_nomem(err);
    char *name = strdup(basename(for_name));
    if (!name)
        return err_nomem(err);
    *elsewhere = (struct elsewhere){file, -1, name};
    space->elsewhere_count++;
    if (!open_source(space, dirname(for_dir), &elsewhere->dir_fd, err))
        return err_wrap(err, "[file:%s]: directory of sealed_file %s",
            space->conf->files.items[file].name, path);
    return true;
}

static bool add_files(struct namespace *space, size_t mount, struct err *err)
{
    const struct sealedfs_conf *conf = space->conf;
    space->elsewhere = calloc(conf->files.count + 1, sizeof *space->elsewhere);
    if (!space->elsewhere)
        return err_nomem(err);
    for (size_t i = 0; i < conf->files.count; i++)
        if (conf->files.items[i].mount == mount && conf->files.items[i].sealed_file &&
            !add_elsewhere(space, i, err))
            return false;
    return true;
}

/* One source at the root and nothing else: the frame would never be asked. */
static bool needs_frame(const struct namespace *space, size_t mount)
{
    return space->conf->mounts.items[mount].by_name || space->catalogue.count > 1 ||
           space->mirror_count == 0;
}

bool namespace_check(const struct sealedfs_conf *conf, size_t mount, struct err *err)
{
    AUTO(namespace_free) struct namespace *space = calloc(1, sizeof *space);
    if (!space)
        return err_nomem(err);
    space->conf = conf;
    return catalogue_make(conf, mount, &space->catalogue, err) && add_mirrors(space, mount, err) &&
           add_files(space, mount, err) && frame_check(conf, mount, err);
}

bool namespace_new(const struct sealedfs_conf *conf, size_t mount, int frame_fd,
    struct namespace **ret_space, struct err *err)
{
    return namespace_resume(conf, mount, frame_fd, NULL, ret_space, err);
}

bool namespace_resume(const struct sealedfs_conf *conf, size_t mount, int frame_fd,
    const struct state *state, struct namespace **ret_space, struct err *err)
{
    AUTO(namespace_free) struct namespace *space = calloc(1, sizeof *space);
    auto_fd int predecessor = frame_fd;
    if (!space)
        return err_nomem(err);
    space->conf = conf;
    space->state = state;
    if (!catalogue_make(conf, mount, &space->catalogue, err) || !add_mirrors(space, mount, err) ||
        !add_files(space, mount, err))
        return false;
    if (needs_frame(space, mount)) {
        if (!frame_new(predecessor, &space->frame, err))
            return false;
        predecessor = -1;
        if (!frame_sync(space->frame, &space->catalogue, conf, mount, err))
            return false;
    }
    *ret_space = take_ptr(space);
    return true;
}

void namespace_free(struct namespace *space)
{
    if (!space)
        return;
    for (size_t i = 0; i < space->mirror_count; i++)
        close(space->mirrors[i].fd);
    for (size_t i = 0; i < space->elsewhere_count; i++) {
        if (space->elsewhere[i].dir_fd >= 0)
            close(space->elsewhere[i].dir_fd);
        free(space->elsewhere[i].name);
    }
    catalogue_done(&space->catalogue);
    frame_free(space->frame);
    free(space->mirrors);
    free(space->elsewhere);
    free(space);
}

size_t namespace_sources(
    const struct namespace *space, struct state_source *ret_sources, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < space->mirror_count && count < max; i++)
        ret_sources[count++] = (struct state_source){
            space->conf->sources.items[space->mirrors[i].source].directory, space->mirrors[i].fd};
    return count;
}

void namespace_each_fd(const struct namespace *space, void (*fn)(void *arg, int fd), void *arg)
{
    for (size_t i = 0; i < space->mirror_count; i++)
        fn(arg, space->mirrors[i].fd);
    for (size_t i = 0; i < space->elsewhere_count; i++)
        fn(arg, space->elsewhere[i].dir_fd);
    if (space->frame)
        fn(arg, frame_fd(space->frame));
}

bool namespace_makes(const struct namespace *space, const char *path)
{
    return is_by_name(space, path);
}

int namespace_frame_fd(const struct namespace *space)
{
    return space->frame ? frame_fd(space->frame) : -1;
}
