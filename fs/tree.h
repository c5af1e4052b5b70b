/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes: what the kernel has an id for. A node is one name in one directory *as one source file*: when another file takes the name, the
 * name gets a new node, and the old one is detached: it serves the descriptors that are open on it and nothing else
 * (ESTALE, on which the kernel walks the path again). So an open file never sees the content of its successor.
 *
 * Records live in the node table, so that a worker's successor knows the ids; pins and sizes are this worker's own. Any thread.
 */
#pragma once

#include "fs/nodetable.h"
#include "fs/source.h"

struct tree;

/* `table` may hold the nodes of a dead worker: they are taken over. `pins_max`: descriptors that may be kept on files. */
bool tree_new(const struct source *source, struct nodetable_data *table, size_t pins_max,
    struct tree **ret_tree, struct err *err) MUST_CHECK;
void tree_free(struct tree *tree);
DEFINE_AUTO(struct tree, tree_free);

/* In all of these err.sys_errno is the answer for the kernel. */
/* The node of `name` in a directory, with one lookup more. */
bool tree_lookup(struct tree *tree, uint64_t parent, const char *name, uint64_t *ret_id,
    struct pin **ret_pin, struct stat *ret_st, struct err *err) MUST_CHECK;
/* The file of a node as it is now. */
bool tree_pin(struct tree *tree, uint64_t id, struct pin **ret_pin, struct stat *ret_st,
    struct err *err) MUST_CHECK;
/* As tree_pin, for who will use the content: it is compared with the file, since what is written through mmap(2) shows in no time stamp. */
bool tree_pin_read(struct tree *tree, uint64_t id, struct pin **ret_pin, struct stat *ret_st,
    struct err *err) MUST_CHECK;
/* As tree_pin, but a node with open descriptors has attributes even when its name is gone. */
bool tree_stat(struct tree *tree, uint64_t id, struct pin **ret_pin, struct stat *ret_st,
    struct err *err) MUST_CHECK;
/* After one of the above failed (err is its error and stays when this fails as well): the regular file that has the node's name now,
 * for who cannot look the name up again (fs/tree_follow.c). Asks the monitor each time. */
bool tree_follow(struct tree *tree, uint64_t id, struct pin **ret_pin, struct stat *ret_st,
    struct err *err) MUST_CHECK;
/* Is the node in a directory that a rotation of its volume has left behind (and perhaps not removed yet)? */
bool tree_is_left_behind(struct tree *tree, uint64_t id);
void tree_forget(struct tree *tree, uint64_t id, uint64_t count);
/* Path below the source; PATH_SIZE bytes. False when the node is not known or the path too long. */
bool tree_path(struct tree *tree, uint64_t id, char *out);

/* Sizes of sealed files. The kernel must never believe in a size below the true one: splice would cut the content there. */
/* Called with what is put into an answer, before it is sent. */
void tree_told(struct tree *tree, uint64_t id, const struct stat *st, bool is_sealed);
/* Largest plaintext for which what was told is still true. */
uint64_t tree_told_size(struct tree *tree, uint64_t id);
/* A sealed file was opened with this length on this pin (-1: not sealed); closed again, true when nobody has it open any more. */
void tree_opened(struct tree *tree, uint64_t id, struct pin *pin, int64_t length);
bool tree_closed(struct tree *tree, uint64_t id);
/* Length of the newest open plaintext; -1: none is open. */
int64_t tree_open_length(struct tree *tree, uint64_t id);
/* The secret has this length now: of a file that is open with a shorter one that must not be told any more. */
void tree_grown(struct tree *tree, uint64_t id, int64_t length);

/* What the kernel may believe of owner, group and mode (fs/permission.h says why that may not be the newest of it). */
/* This, and nothing else, by whatever worker. */
bool tree_told_only(struct tree *tree, uint64_t id, const struct stat *st);
/* More than one thing. */
bool tree_told_many(struct tree *tree, uint64_t id);
size_t tree_count(struct tree *tree);
/* Those that are open; malloc'd, NULL when there are none or memory is out. */
size_t tree_open_nodes(struct tree *tree, uint64_t **ret_nodes);
/* Calls `fn` with each node that shows a sealed file. */
void tree_each_sealed(struct tree *tree, void (*fn)(void *arg, uint64_t id), void *arg);
