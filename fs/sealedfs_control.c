/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/sealedfs_control.h"

#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#include "crypt/base/file.h"
#include "crypt/base/sandbox.h"
#include "fs/control_server.h"

/* Everybody may look for the socket in there; who may ask is its own matter. */
#define DIRECTORY_MODE 0755

bool sealedfs_control_bind(const struct sealedfs_conf *conf, int *ret_fd, struct err *err)
{
    auto_free char *copy = strdup(conf->control.socket);
    if (!copy)
        return err_nomem(err);
    return file_make_dirs(dirname(copy), DIRECTORY_MODE, err) &&
           control_listen(conf->control.socket, ret_fd, err);
}

bool sealedfs_control_serve(struct loop *loop, const struct sealedfs_conf *conf, int fd,
    struct resolver *resolver, struct worker *worker, struct err *err)
{
    struct control_server *server;
    const struct conf_list *users = &conf->control.allow_users;
    gid_t gid;
    /* Lives as long as the process, as the server does. */
    uid_t *uids = calloc(users->count + 1, sizeof *uids);
    if (!uids)
        return err_nomem(err);
    for (size_t i = 0; i < users->count; i++)
        if (!sandbox_user_ids(users->items[i], &uids[i], &gid, err)) {
            free(uids);
            return err_wrap(err, "control.allow_users");
        }
    struct control_conf control = {.listen_fd = fd,
        .uids = uids,
        .uid_count = users->count,
        .timeout_ms = CONTROL_TIMEOUT_MS,
        .renewer = worker};
    return control_start(
        loop, &control, resolver, worker_has_mounts(worker) ? worker : NULL, &server, err);
}
