/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/outbound/courier_wire.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "kbs/origin.h"

#define NO_BEARER     UINT32_MAX
#define BEARER_MAX    8192
#define NO_PROXY_MAX  64
#define HOST_TEXT_MAX 256

enum { FLAG_EXACT = 1, FLAG_PLAIN = 2 };
enum { ANSWERED = 0, FAILED = 1 };

/* -- the table ------------------------------------------------------------------------------------ */

void courier_table_done(struct courier_table *table)
{
    for (size_t i = 0; i < table->no_proxy_count; i++)
        free(table->no_proxy[i]);
    free(table->no_proxy);
    free(table->entries);
    *table = (struct courier_table){0};
}

static bool check_bearer(const struct secret *bearer)
{
    struct bytes token = secret_bytes(bearer);
    for (size_t i = 0; i < token.len; i++)
        if (token.data[i] <= ' ' || token.data[i] > '~')
            return false;
    return token.len > 0 && token.len <= BEARER_MAX;
}

static bool check_target(const struct courier_target *target, struct err *err)
{
    char origin[ORIGIN_SIZE];
    size_t len = strlen(target->url);
    if (strlen(target->name) >= COURIER_NAME_SIZE || strlen(target->peer) >= COURIER_NAME_SIZE ||
        len >= COURIER_TEXT_SIZE ||
        (target->unix_socket && strlen(target->unix_socket) >= COURIER_TEXT_SIZE) ||
        (target->ca_file && strlen(target->ca_file) >= COURIER_TEXT_SIZE))
        return err_set(err, ERR_CONFIG, "a name, URL or path of more than %d characters",
            COURIER_TEXT_SIZE - 1);
    if (!origin_of(target->url, target->plain, origin, err))
        return false;
    for (size_t i = 0; i < len; i++)
        if (target->url[i] <= ' ' || target->url[i] > '~' || target->url[i] == '#')
            return err_set(err, ERR_CONFIG, "\"%s\" has a character that no URL has",
                origin_show(target->url).text);
    if (!target->exact && (strchr(target->url, '?') || target->url[len - 1] == '/'))
        return err_set(err, ERR_CONFIG, "\"%s\" must end without \"/\" and have no query",
            origin_show(target->url).text);
    if (target->bearer && !check_bearer(target->bearer))
        return err_set(err, ERR_CONFIG,
            "the bearer token is no line of 1 to %d printable characters without blanks",
            BEARER_MAX);
    return true;
}

bool courier_conf_check(const struct courier_conf *conf, struct err *err)
{
    if (conf->count > COURIER_TARGETS_MAX || conf->no_proxy_count > NO_PROXY_MAX)
        return err_set(err, ERR_CONFIG, "%zu things to ask over the network; at most %d are taken",
            conf->count, COURIER_TARGETS_MAX);
    for (size_t i = 0; i < conf->count; i++)
        if (!check_target(&conf->targets[i], err))
            return err_wrap(err, "%s", conf->targets[i].name);
    return true;
}

static size_t bearer_size(const struct courier_target *target)
{
    return target->bearer ? secret_len(target->bearer) + 1 : 0;
}

/* The tokens, each with its NUL, which secret_new() has put there already. */
static bool gather_bearers(
    const struct courier_conf *conf, struct secret **ret_secret, struct err *err)
{
    size_t size = 0, at = 0;
    for (size_t i = 0; i < conf->count; i++)
        size += bearer_size(&conf->targets[i]);
    auto_secret *secret = NULL;
    if (!secret_new(size, &secret, err))
        return false;
    for (size_t i = 0; i < conf->count; i++) {
        if (!conf->targets[i].bearer)
            continue;
        struct bytes token = secret_bytes(conf->targets[i].bearer);
        memcpy(secret_data(secret) + at, token.data, token.len);
        at += token.len + 1;
    }
    *ret_secret = take_ptr(secret);
    return true;
}

bool courier_table_encode(const struct courier_conf *conf, struct buf *public,
    struct secret **ret_secret, struct err *err)
{
    size_t at = 0;
    if (!courier_conf_check(conf, err))
        return false;
    struct pack_writer out = pack_writer(public);
    pack_put_u8(&out, COURIER_WIRE_VERSION);
    pack_put_text(&out, conf->proxy);
    pack_put_u8(&out, (uint8_t)conf->no_proxy_count);
    for (size_t i = 0; i < conf->no_proxy_count; i++)
        pack_put_text(&out, conf->no_proxy[i]);
    pack_put_u8(&out, (uint8_t)conf->count);
    for (size_t i = 0; i < conf->count; i++) {
        const struct courier_target *target = &conf->targets[i];
        pack_put_text(&out, target->name);
        pack_put_text(&out, target->peer);
        pack_put_text(&out, target->url);
        pack_put_text(&out, target->unix_socket);
        pack_put_text(&out, target->ca_file);
        pack_put_u8(&out, (uint8_t)target->methods);
        pack_put_u8(
            &out, (uint8_t)((target->exact ? FLAG_EXACT : 0) | (target->plain ? FLAG_PLAIN : 0)));
        pack_put_u32(&out, target->bearer ? (uint32_t)at : NO_BEARER);
        at += bearer_size(target);
    }
    return pack_written(&out, "table of what may be asked over the network", err) &&
           gather_bearers(conf, ret_secret, err);
}

static bool find_bearer(const struct secret *secret, uint32_t at, const char **ret_bearer)
{
    struct bytes rest = bytes_slice(secret_bytes(secret), at, SIZE_MAX);
    if (at == NO_BEARER) {
        *ret_bearer = NULL;
        return true;
    }
    *ret_bearer = (const char *)rest.data;
    return rest.len > 0 && memchr(rest.data, '\0', rest.len);
}

static bool take_entry(
    struct pack_reader *in, const struct secret *secret, struct courier_entry *entry)
{
    pack_get_text(in, entry->name, sizeof entry->name);
    pack_get_text(in, entry->peer, sizeof entry->peer);
    pack_get_text(in, entry->url, sizeof entry->url);
    pack_get_text(in, entry->unix_socket, sizeof entry->unix_socket);
    pack_get_text(in, entry->ca_file, sizeof entry->ca_file);
    entry->methods = pack_get_u8(in);
    unsigned flags = pack_get_u8(in);
    entry->exact = flags & FLAG_EXACT;
    entry->plain = flags & FLAG_PLAIN;
    return find_bearer(secret, pack_get_u32(in), &entry->bearer);
}

bool courier_table_decode(struct bytes public, const struct secret *secret,
    struct courier_table *ret_table, struct err *err)
{
    auto_courier_table table = {0};
    struct pack_reader in = pack_reader(public);
    bool good = pack_get_u8(&in) == COURIER_WIRE_VERSION;
    pack_get_text(&in, table.proxy, sizeof table.proxy);
    size_t count = pack_get_u8(&in);
    if (!(table.no_proxy = calloc(count + 1, sizeof *table.no_proxy)))
        return err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        char host[HOST_TEXT_MAX] = "";
        pack_get_text(&in, host, sizeof host);
        if (!(table.no_proxy[table.no_proxy_count++] = strdup(host)))
            return err_nomem(err);
    }
    table.count = pack_get_u8(&in);
    if (!(table.entries = calloc(table.count + 1, sizeof *table.entries)))
        return err_nomem(err);
    for (size_t i = 0; i < table.count; i++)
        good = take_entry(&in, secret, &table.entries[i]) && good;
    if (!pack_finish(&in, "the courier's table", err))
        return false;
    if (!good || table.count > COURIER_TARGETS_MAX)
        return err_set(err, ERR_FORMAT, "the courier's table makes no sense");
    *ret_table = table;
    table = (struct courier_table){0};
    return true;
}

/* -- requests -------------------------------------------------------------------------------------- */

const char *courier_method_name(unsigned method)
{
    return method == COURIER_GET      ? "GET"
           : method == COURIER_POST   ? "POST"
           : method == COURIER_PUT    ? "PUT"
           : method == COURIER_DELETE ? "DELETE"
                                      : NULL;
}

static bool segment_ok(const char *segment, size_t len)
{
    static const char *const escapes[] = {"%2e", "%2f", "%5c", "\\"};
    if ((len == 1 && segment[0] == '.') || (len == 2 && segment[0] == '.' && segment[1] == '.'))
        return false;
    for (size_t at = 0; at < len; at++)
        for (size_t i = 0; i < ARRAY_LEN(escapes); i++)
            if (strncasecmp(segment + at, escapes[i], strlen(escapes[i])) == 0)
                return false;
    return true;
}

/* So that no server, however it decodes, finds itself above the target's URL. */
static bool path_ok(const char *path)
{
    const char *end = path + strcspn(path, "?");
    if (path[0] != '\0' && path[0] != '/')
        return false;
    for (const char *at = path; *at; at++)
        if (*at <= ' ' || *at > '~' || *at == '#')
            return false;
    for (const char *at = path; at < end;) {
        size_t len = strcspn(at + 1, "/?");
        if (!segment_ok(at + 1, len))
            return false;
        at += 1 + len;
    }
    return strlen(path) <= COURIER_PATH_MAX;
}

bool courier_allowed(const char *name, unsigned methods, bool exact,
    const struct courier_request *request, struct err *err)
{
    const char *method = courier_method_name(request->method);
    if (!method || !(methods & request->method))
        return err_set(
            err, ERR_CONFIG, "%s may not be asked with %s", name, method ? method : "this method");
    if (!path_ok(request->path) || (exact && request->path[0] != '\0'))
        return err_set(err, ERR_CONFIG, "%s may not be asked for \"%.80s\"", name, request->path);
    if (request->timeout_ms < 1 || request->timeout_ms > COURIER_TIMEOUT_MAX ||
        request->response_max < 1 || request->response_max > COURIER_RESPONSE_MAX ||
        request->body.len > COURIER_BODY_MAX)
        return err_set(err, ERR_CONFIG, "%s: a request over its limits", name);
    return true;
}

bool courier_request_encode(uint32_t id, size_t target, const struct courier_request *request,
    struct buf *out, struct err *err)
{
    struct pack_writer writer = pack_writer(out);
    pack_put_u32(&writer, id);
    pack_put_u8(&writer, (uint8_t)target);
    pack_put_u8(&writer, (uint8_t)request->method);
    pack_put_u32(&writer, (uint32_t)request->timeout_ms);
    pack_put_u32(&writer, (uint32_t)request->response_max);
    pack_put_text(&writer, request->path);
    pack_put_text(&writer, request->content_type);
    pack_put_block(&writer, request->body);
    return pack_written(&writer, "request to the courier", err);
}

bool courier_request_decode(struct bytes message, uint32_t *ret_id, size_t *ret_target,
    struct courier_request_texts *texts, struct courier_request *ret_request, struct err *err)
{
    struct courier_request request = {0};
    struct pack_reader in = pack_reader(message);
    uint32_t id = pack_get_u32(&in);
    size_t target = pack_get_u8(&in);
    request.method = pack_get_u8(&in);
    request.timeout_ms = pack_get_u32(&in);
    request.response_max = pack_get_u32(&in);
    pack_get_text(&in, texts->path, sizeof texts->path);
    pack_get_text(&in, texts->content_type, sizeof texts->content_type);
    request.body = pack_get_block(&in, COURIER_BODY_MAX);
    if (!pack_finish(&in, "request to the courier", err))
        return false;
    request.path = texts->path;
    request.content_type = texts->content_type[0] ? texts->content_type : NULL;
    *ret_id = id;
    *ret_target = target;
    *ret_request = request;
    return true;
}

/* -- answers --------------------------------------------------------------------------------------- */

bool courier_answer_encode(uint32_t id, const struct courier_response *response,
    const struct err *cause, struct buf *out, struct err *err)
{
    struct pack_writer writer = pack_writer(out);
    pack_put_u32(&writer, id);
    pack_put_u8(&writer, cause ? FAILED : ANSWERED);
    if (cause) {
        pack_put_text(&writer, err_info(cause->code)->name);
        pack_put_text(&writer, cause->message);
        return pack_written(&writer, "answer of the courier", err);
    }
    size_t count = 0;
    for (size_t i = 0; i < COURIER_HEADER_COUNT; i++)
        count += response->headers[i].data != NULL;
    pack_put_u16(&writer, (uint16_t)response->status);
    pack_put_u64(&writer, (uint64_t)response->date);
    pack_put_text(&writer, response->content_type);
    pack_put_u8(&writer, (uint8_t)count);
    for (size_t i = 0; i < COURIER_HEADER_COUNT; i++) {
        if (!response->headers[i].data)
            continue;
        pack_put_u8(&writer, (uint8_t)i);
        pack_put_block(&writer, response->headers[i]);
    }
    pack_put_block(&writer, response->body);
    return pack_written(&writer, "answer of the courier", err);
}

bool courier_answer_id(struct bytes message, uint32_t *ret_id, struct err *err)
{
    if (message.len < 5)
        return err_set(err, ERR_FORMAT, "an answer of the courier of %zu bytes", message.len);
    struct pack_reader in = pack_reader(message);
    *ret_id = pack_get_u32(&in);
    return true;
}

static bool printable(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < ' ' || text.data[i] > '~')
            return false;
    return true;
}

/* The cause that a courier names, which nobody else may choose: its text goes into logs. */
static bool take_failure(struct pack_reader *in, struct err *err)
{
    char name[64] = "", message[ERR_MESSAGE_SIZE] = "";
    pack_get_text(in, name, sizeof name);
    pack_get_text(in, message, sizeof message);
    if (!pack_finish(in, "answer of the courier", err))
        return false;
    for (char *at = message; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    enum err_code code = err_code_from_name(name);
    return err_set(err, code != ERR_OK ? code : ERR_FORMAT, "%s", message); /* no cause: unlogged */
}

bool courier_answer_decode(
    struct bytes message, struct courier_response *ret_response, struct err *err)
{
    struct courier_response response = {0};
    struct pack_reader in = pack_reader(message);
    bool good = true;
    (void)pack_get_u32(&in);
    unsigned kind = pack_get_u8(&in);
    if (kind == FAILED)
        return take_failure(&in, err);
    response.status = pack_get_u16(&in);
    response.date = (int64_t)pack_get_u64(&in);
    pack_get_text(&in, response.content_type, sizeof response.content_type);
    size_t count = pack_get_u8(&in);
    for (size_t i = 0; i < count && !in.failed; i++) {
        size_t header = pack_get_u8(&in);
        struct bytes value = pack_get_block(&in, COURIER_HEADER_MAX);
        good = good && header < COURIER_HEADER_COUNT && printable(value);
        if (good)
            response.headers[header] = value;
    }
    response.body = pack_get_block(&in, COURIER_RESPONSE_MAX);
    if (!pack_finish(&in, "answer of the courier", err))
        return false;
    if (!good || kind != ANSWERED || response.status < 100 || response.status > 599 ||
        response.date < 0 || !printable(bytes_str(response.content_type)))
        return err_set(err, ERR_FORMAT, "the courier gave no good answer");
    *ret_response = response;
    return true;
}
