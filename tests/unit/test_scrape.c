/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/scrape.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/unit.h"

static enum scrape_verdict parse(const char *request)
{
    enum scrape_page page = SCRAPE_METRICS;
    return scrape_parse(bytes_str(request), &page);
}

static void requests_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        enum scrape_verdict verdict;
        enum scrape_page page;
    } rows[] = {{"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", SCRAPE_ASKS, SCRAPE_METRICS},
        {"GET /healthz HTTP/1.0\r\n\r\n", SCRAPE_ASKS, SCRAPE_HEALTH},
        {"GET /readyz?verbose HTTP/1.1\r\n\r\n", SCRAPE_ASKS, SCRAPE_READY},
        {"GET /metrics HTTP/1.1\r\nHost: x\r\n", SCRAPE_MORE, 0}, {"", SCRAPE_MORE, 0},
        {"POST /metrics HTTP/1.1\r\n\r\n", SCRAPE_METHOD, 0},
        {"GET /metricsx HTTP/1.1\r\n\r\n", SCRAPE_UNKNOWN, 0},
        {"GET / HTTP/1.1\r\n\r\n", SCRAPE_UNKNOWN, 0}, {"GET /metrics\r\n\r\n", SCRAPE_BAD, 0},
        {"GET /metrics HTTP/2\r\n\r\n", SCRAPE_BAD, 0},
        {"GET /metrics HTTP/1.1 x\r\n\r\n", SCRAPE_BAD, 0}, {"\r\n\r\n", SCRAPE_BAD, 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum scrape_page page = SCRAPE_METRICS;
        assert_int_equal(scrape_parse(bytes_str(rows[i].request), &page), rows[i].verdict);
        if (rows[i].verdict == SCRAPE_ASKS)
            assert_int_equal(page, rows[i].page);
    }
}

static void what_is_too_long_or_binary_is_bad(void **state)
{
    (void)state;
    static char text[SCRAPE_REQUEST_MAX + 1];
    enum scrape_page page;
    memset(text, 'a', SCRAPE_REQUEST_MAX);
    assert_int_equal(parse(text), SCRAPE_BAD);
    text[SCRAPE_REQUEST_MAX - 1] = '\0';
    assert_int_equal(parse(text), SCRAPE_MORE);
    memcpy(text + 200, "\r\n\r\n", 4);
    assert_int_equal(parse(text), SCRAPE_BAD);
    assert_int_equal(
        scrape_parse(bytes_of("GET /metrics HTTP/1.1\r\na: \0\r\n\r\n", 32), &page), SCRAPE_BAD);
}

static void only_this_machine_is_listened_to(void **state)
{
    (void)state;
    static const char *const refused[] = {"0.0.0.0:9100", "9100", "127.0.0.1",
        "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.2:1", "[::]:9100",
        "localhost:9100", "relative/path", "[::1]9100"};
    int fd;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct err err = ERR_INIT;
        assert_refused(scrape_listen(refused[i], &fd, &err), &err, ERR_CONFIG, refused[i]);
    }
}

/* -- a real socket ------------------------------------------------------------------------------ */

static bool good;

static bool page(
    void *arg, enum scrape_page which, struct buf *out, bool *ret_good, struct err *err)
{
    (void)arg;
    *ret_good = good;
    return buf_printf(out, err, "page %d\n", (int)which);
}

static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Turns the loop until the server has closed; what it said. */
static void converse(
    struct loop *loop, const char *path, const char *request, char *out, size_t size)
{
    struct err err = ERR_INIT;
    size_t len = 0;
    ssize_t got;
    auto_fd int fd = dial(path);
    assert_int_equal(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
    while ((got = recv(fd, out + len, size - 1 - len, MSG_DONTWAIT)) != 0) {
        if (got > 0)
            len += (size_t)got;
        else
            assert_done(loop_turn(loop, 10, &err), &err);
    }
    out[len] = '\0';
}

static void pages_are_served(void **state)
{
    (void)state;
    char dir[] = "/tmp/test-scrape.XXXXXX", path[64], said[1024];
    struct err err = ERR_INIT;
    struct loop *loop;
    struct scrape *scrape;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/socket", dir);
    struct scrape_conf conf = {.page = page};
    assert_done(scrape_listen(path, &conf.listen_fd, &err), &err);
    assert_done(loop_new(&loop, &err), &err);
    conf.loop = loop;
    assert_done(scrape_start(&conf, &scrape, &err), &err);
    good = true;
    converse(loop, path, "GET /healthz HTTP/1.1\r\n\r\n", said, sizeof said);
    assert_non_null(strstr(said, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(said, "Content-Length: 7\r\n"));
    assert_non_null(strstr(said, "\r\n\r\npage 1\n"));
    good = false;
    converse(loop, path, "GET /readyz HTTP/1.1\r\n\r\n", said, sizeof said);
    assert_non_null(strstr(said, "HTTP/1.1 503 Service Unavailable\r\n"));
    converse(loop, path, "DELETE /readyz HTTP/1.1\r\n\r\n", said, sizeof said);
    assert_non_null(strstr(said, "HTTP/1.1 405 "));
    converse(loop, path, "nonsense\r\n\r\n", said, sizeof said);
    assert_non_null(strstr(said, "HTTP/1.1 400 "));
    int idle[2 * SCRAPE_PEERS_MAX]; /* they do not keep others out */
    for (size_t i = 0; i < ARRAY_LEN(idle); i++) {
        idle[i] = dial(path);
        assert_done(loop_turn(loop, 10, &err), &err);
    }
    good = true;
    converse(loop, path, "GET /readyz HTTP/1.1\r\n\r\n", said, sizeof said);
    assert_non_null(strstr(said, "HTTP/1.1 200 OK\r\n"));
    for (size_t i = 0; i < ARRAY_LEN(idle); i++)
        close(idle[i]);
    auto_fd int left = dial(path); /* who never asks is no harm at the end */
    assert_done(loop_turn(loop, 10, &err), &err);
    scrape_free(scrape);
    loop_free(loop);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_told_apart),
        cmocka_unit_test(what_is_too_long_or_binary_is_bad),
        cmocka_unit_test(only_this_machine_is_listened_to),
        cmocka_unit_test(pages_are_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
