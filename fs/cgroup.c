/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cgroup.h"

#include <string.h>

#define ID_DIGITS 64

/* -- the path ---------------------------------------------------------------------------------- */

struct line {
    struct bytes hierarchy, controllers, path;
};

static bool take_until(struct bytes *rest, char end, struct bytes *ret_part)
{
    const uint8_t *at = rest->len ? memchr(rest->data, end, rest->len) : NULL;
    if (!at)
        return false;
    size_t len = (size_t)(at - rest->data);
    *ret_part = bytes_of(rest->data, len);
    *rest = bytes_of(at + 1, rest->len - len - 1);
    return true;
}

/* "9:name=systemd:/path". A path may hold colons, never a newline (the kernel forbids it in names). */
static bool next_line(struct bytes *text, struct line *ret_line)
{
    struct bytes line;
    while (take_until(text, '\n', &line)) {
        if (take_until(&line, ':', &ret_line->hierarchy) &&
            take_until(&line, ':', &ret_line->controllers) && line.len > 0 && line.data[0] == '/' &&
            line.len < CGROUP_PATH_SIZE && !memchr(line.data, '\0', line.len)) {
            ret_line->path = line;
            return true;
        }
    }
    return false;
}

/* How much the path of a line is worth: one that is not the root before one that is, then by hierarchy, then by length. */
static size_t worth(const struct line *line)
{
    size_t value = line->path.len;
    if (line->path.len > 1)
        value += 4 * CGROUP_PATH_SIZE;
    if (bytes_equal(line->hierarchy, bytes_str("0")))
        value += 2 * CGROUP_PATH_SIZE;
    else if (bytes_equal(line->controllers, bytes_str("name=systemd")))
        value += CGROUP_PATH_SIZE;
    return value;
}

bool cgroup_path(struct bytes text, char ret_path[CGROUP_PATH_SIZE], struct err *err)
{
    struct line line, best = {0};
    while (next_line(&text, &line))
        if (!best.path.data || worth(&line) > worth(&best))
            best = line;
    if (!best.path.data)
        return err_set(err, ERR_FORMAT, "no control group in /proc/PID/cgroup");
    memcpy(ret_path, best.path.data, best.path.len);
    ret_path[best.path.len] = '\0';
    return true;
}

/* -- pods and containers ------------------------------------------------------------------------ */

static bool strip_front(struct bytes *name, const char *prefix)
{
    size_t len = strlen(prefix);
    if (name->len < len || memcmp(name->data, prefix, len) != 0)
        return false;
    *name = bytes_of(name->data + len, name->len - len);
    return true;
}

static bool strip_end(struct bytes *name, const char *suffix)
{
    size_t len = strlen(suffix);
    if (name->len < len || memcmp(name->data + name->len - len, suffix, len) != 0)
        return false;
    name->len -= len;
    return true;
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* A UID as the API server writes it, 8-4-4-4-12, or the 32 digits of a static pod's. In slices the dashes are underscores. */
static bool read_uid(struct bytes text, char out[CGROUP_POD_SIZE])
{
    bool dashed = text.len == 36;
    char uid[CGROUP_POD_SIZE];
    if (!dashed && text.len != 32)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool dash = dashed && (i == 8 || i == 13 || i == 18 || i == 23);
        uint8_t c = text.data[i];
        if (dash ? c != '-' && c != '_' : !is_hex(c))
            return false;
        uid[i] = dash ? '-' : (char)c;
    }
    uid[text.len] = '\0';
    memcpy(out, uid, text.len + 1);
    return true;
}

static void strip_kubelet(struct bytes *name)
{
    strip_end(name, ".slice");
    strip_front(name, "kubelet-");
}

static bool read_pod(struct bytes name, char out[CGROUP_POD_SIZE])
{
    strip_kubelet(&name);
    if (strip_front(&name, "kubepods-")) {
        if (!strip_front(&name, "burstable-"))
            strip_front(&name, "besteffort-");
    }
    return strip_front(&name, "pod") && read_uid(name, out);
}

/* What may stand above a pod. */
static bool is_above_pod(struct bytes name)
{
    static const char *const names[] = {"..", "kubelet", "kubepods", "burstable", "besteffort",
        "kubepods-burstable", "kubepods-besteffort"};
    strip_kubelet(&name);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (bytes_equal(name, bytes_str(names[i])))
            return true;
    return false;
}

/* What may stand above a container of an engine that runs without Kubernetes. */
static bool is_above_engine(struct bytes name)
{
    static const char *const names[] = {
        "..", "system.slice", "machine.slice", "docker", "libpod_parent"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (bytes_equal(name, bytes_str(names[i])))
            return true;
    return false;
}

/* ID, ENGINE-ID.scope (containerd, CRI-O, Docker, Podman), SLICE:ENGINE:ID: 64 digits at the end, and no digit before them. */
static bool read_container(struct bytes name, char out[CGROUP_ID_SIZE])
{
    strip_end(&name, ".scope");
    if (name.len < ID_DIGITS)
        return false;
    struct bytes id = bytes_of(name.data + name.len - ID_DIGITS, ID_DIGITS);
    for (size_t i = 0; i < id.len; i++)
        if (!is_hex(id.data[i]))
            return false;
    if (name.len > ID_DIGITS && id.data[-1] != '-' && id.data[-1] != ':')
        return false;
    memcpy(out, id.data, ID_DIGITS);
    out[ID_DIGITS] = '\0';
    return true;
}

/* The next component of a path; false at its end. */
static bool next_name(struct bytes *path, struct bytes *ret_name)
{
    while (path->len > 0 && path->data[0] == '/')
        *path = bytes_of(path->data + 1, path->len - 1);
    const uint8_t *end = path->len ? memchr(path->data, '/', path->len) : NULL;
    size_t len = end ? (size_t)(end - path->data) : path->len;
    *ret_name = bytes_of(path->data, len);
    *path = bytes_of(path->data + len, path->len - len);
    return len > 0;
}

/* kubepods-podUID.slice:cri-containerd:ID, as containerd writes it when it is not told that the driver is systemd. */
static bool read_joined(struct bytes name, struct cgroup_names *names)
{
    struct bytes rest = name, slice;
    char pod[CGROUP_POD_SIZE];
    if (!take_until(&rest, ':', &slice) || !read_pod(slice, pod) ||
        !read_container(rest, names->container))
        return false;
    memcpy(names->pod, pod, sizeof pod);
    return true;
}

void cgroup_names(const char *path, struct cgroup_names *ret_names)
{
    struct bytes rest = bytes_str(path), name;
    bool pods = true, engines = true;
    *ret_names = (struct cgroup_names){0};
    while ((pods || engines) && next_name(&rest, &name)) {
        if (pods && read_joined(name, ret_names))
            return;
        if (pods && read_pod(name, ret_names->pod)) {
            if (next_name(&rest, &name))
                (void)read_container(name, ret_names->container);
            return;
        }
        if (engines && read_container(name, ret_names->container))
            return;
        pods = pods && is_above_pod(name);
        engines = engines && is_above_engine(name);
    }
}
