/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare_fuse MOUNTPOINT TEXT direct|page: the least that a libfuse program can do for one file "secret" with the flags of a sealedfs mount
 * (allow_other, default_permissions, ro, no caching of names and attributes, no OPENDIR state; what is opened is direct_io, or with `page`
 * keep_cache). What sealedfs is measured against.
 */
#define FUSE_USE_VERSION 312

#include <errno.h>
#include <fuse3/fuse_lowlevel.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *text;
static bool page;

static struct stat attributes(fuse_ino_t node)
{
    struct stat st = {
        .st_ino = node, .st_nlink = 1, .st_mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0644};
    if (node != 1)
        st.st_size = (off_t)strlen(text);
    return st;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = {.ino = 2, .attr = attributes(2)};
    if (parent != 1 || strcmp(name, "secret") != 0)
        fuse_reply_err(req, ENOENT);
    else
        fuse_reply_entry(req, &entry);
}

static void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
    struct stat st = attributes(node);
    (void)info;
    fuse_reply_attr(req, &st, 0);
}

static void op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
    (void)node;
    info->direct_io = !page;
    info->keep_cache = page;
    fuse_reply_open(req, info);
}

static void op_read(
    fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *info)
{
    size_t len = strlen(text);
    (void)node;
    (void)info;
    if ((size_t)offset >= len)
        fuse_reply_buf(req, NULL, 0);
    else
        fuse_reply_buf(
            req, text + offset, len - (size_t)offset < size ? len - (size_t)offset : size);
}

static void op_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
    (void)node;
    (void)info;
    fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops operations = {.lookup = op_lookup,
    .getattr = op_getattr,
    .open = op_open,
    .read = op_read,
    .release = op_release};

int main(int argc, char **argv)
{
    char name[] = "bare_fuse", option[] = "-o",
         flags[] = "ro,allow_other,default_permissions,nosuid,nodev,noexec";
    char *fuse_argv[] = {name, option, flags, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, fuse_argv);
    if (argc != 4)
        return fprintf(stderr, "usage: bare_fuse MOUNTPOINT TEXT direct|page\n"), 2;
    text = argv[2];
    page = strcmp(argv[3], "page") == 0;
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof operations, NULL);
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    if (!session || fuse_set_signal_handlers(session) < 0 ||
        fuse_session_mount(session, argv[1]) < 0)
        return 1;
    fuse_loop_cfg_set_max_threads(config, 3);
    int failed = fuse_session_loop_mt(session, config);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    fuse_loop_cfg_destroy(config);
    return failed ? 1 : 0;
}
