/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What passes between the front, its couriers and their warden (crypt/base/pack.h, big-endian).
 *
 *     table    u8 version (1)  text proxy ("" for none)  u8 count, each: text host without proxy
 *              u8 count, each: text name, peer, url, unix_socket, ca_file ("" for none)  u8 methods
 *              u8 flags (1 exact, 2 plain)  u32 where its bearer token starts in the secret part (~0: none)
 *     secret   the tokens, each with a NUL behind it
 *
 * Frames (frames.h):
 *
 *     hello    u8 version (1)                             from the courier, once its sandbox is shut
 *     request  u32 id  u8 target  u8 method  u32 timeout in ms  u32 largest body of the answer
 *              text path  text content type ("" for none)  block body
 *     answer   u32 id  u8 0  u16 status  u64 date  text content type
 *              u8 count, each: u8 enum courier_header, block value   block body
 *              u32 id  u8 1  text code name (err_info)  text message
 *
 * The front trusts no byte of an answer: a courier may have been taken over by whom it asked. So it does with the others' answers anyway.
 */
#pragma once

#include "crypt/base/pack.h"
#include "kbs/server/outbound/courier.h"

#define COURIER_WIRE_VERSION 1
#define COURIER_HEADER_MAX   (16u * 1024) /* of one header */
#define COURIER_REQUEST_MAX  (COURIER_BODY_MAX + 8192)
#define COURIER_ANSWER_MAX   (COURIER_RESPONSE_MAX + COURIER_HEADER_COUNT * COURIER_HEADER_MAX + 8192)
#define COURIER_TYPE_MAX     128
#define COURIER_NAME_SIZE    64
#define COURIER_TEXT_SIZE    1024 /* url, paths */

/* A target as the courier knows it. */
struct courier_entry {
    char name[COURIER_NAME_SIZE], peer[COURIER_NAME_SIZE];
    char url[COURIER_TEXT_SIZE], unix_socket[COURIER_TEXT_SIZE], ca_file[COURIER_TEXT_SIZE];
    unsigned methods;
    bool exact, plain;
    const char *bearer; /* borrowed from the secret part */
};

struct courier_table {
    char proxy[COURIER_TEXT_SIZE];
    char **no_proxy;
    size_t no_proxy_count;
    struct courier_entry *entries;
    size_t count;
};
void courier_table_done(struct courier_table *table);
#define auto_courier_table AUTO_DONE(courier_table_done) struct courier_table

/* Checks what needs no file; ERR_CONFIG naming the target. */
bool courier_conf_check(const struct courier_conf *conf, struct err *err) MUST_CHECK;
bool courier_table_encode(const struct courier_conf *conf, struct buf *public,
    struct secret **ret_secret, struct err *err) MUST_CHECK;
/* `secret` is borrowed by the entries. */
bool courier_table_decode(struct bytes public, const struct secret *secret,
    struct courier_table *ret_table, struct err *err) MUST_CHECK;

/* The name of a method for HTTP; NULL: it is none. */
const char *courier_method_name(unsigned method);
/* May this be asked? By the front, so that its errors are early, and by the courier, which is the one that counts. ERR_CONFIG. */
bool courier_allowed(const char *name, unsigned methods, bool exact,
    const struct courier_request *request, struct err *err) MUST_CHECK;

bool courier_request_encode(uint32_t id, size_t target, const struct courier_request *request,
    struct buf *out, struct err *err) MUST_CHECK;
/* Texts and body are borrowed: from `texts` and the message. `request->target` stays NULL. */
struct courier_request_texts {
    char path[COURIER_PATH_MAX + 1], content_type[COURIER_TYPE_MAX];
};
bool courier_request_decode(struct bytes message, uint32_t *ret_id, size_t *ret_target,
    struct courier_request_texts *texts, struct courier_request *ret_request, struct err *err)
    MUST_CHECK;
/* `cause` NULL: an answer. */
bool courier_answer_encode(uint32_t id, const struct courier_response *response,
    const struct err *cause, struct buf *out, struct err *err) MUST_CHECK;
bool courier_answer_id(struct bytes message, uint32_t *ret_id, struct err *err) MUST_CHECK;
/* False also when the answer is a failure: then *err is its cause. */
bool courier_answer_decode(
    struct bytes message, struct courier_response *ret_response, struct err *err) MUST_CHECK;
