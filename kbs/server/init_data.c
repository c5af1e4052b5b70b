/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/init_data.h"

#include <stdio.h>

#define KEY "algorithm"

/* Past blanks, as TOML has them. */
static const char *skip(const char *at)
{
    return at + strspn(at, " \t");
}

/* The rest of a line after its value: blanks, then perhaps a comment. */
static bool is_line_end(const char *at)
{
    at = skip(at);
    return *at == '\0' || *at == '\n' || *at == '#' || (at[0] == '\r' && at[1] == '\n');
}

/* `at` is behind "algorithm". */
static bool read_algorithm(const char *at, enum hash_alg *ret_alg, struct err *err)
{
    static const char *const names[] = {"sha256", "sha384", "sha512"};
    at = skip(at);
    if (*at != '=')
        return err_set(err, ERR_FORMAT, "init-data: no '=' after " KEY);
    at = skip(at + 1);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char quoted[16];
        size_t len = (size_t)snprintf(quoted, sizeof quoted, "\"%s\"", names[i]);
        if (strncmp(at, quoted, len) == 0 && is_line_end(at + len))
            return hash_alg_parse(names[i], ret_alg) || err_set(err, ERR_INTERNAL, "%s", names[i]);
    }
    return err_set(
        err, ERR_FORMAT, "init-data: " KEY " must be \"sha256\", \"sha384\" or \"sha512\"");
}

static bool find_algorithm(const char *text, enum hash_alg *ret_alg, struct err *err)
{
    bool found = false;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *at = skip(line);
        size_t len = strcspn(at, "\n");
        if (*at == '[')
            break; /* top-level members come before the first table */
        if (memmem(at, len, "\"\"\"", 3) || memmem(at, len, "'''", 3))
            return err_set(err, ERR_FORMAT,
                "init-data: a multi-line string before the first table is not taken");
        if (strncmp(at, KEY, strlen(KEY)) != 0 || !strchr(" \t=", at[strlen(KEY)]))
            continue;
        if (found)
            return err_set(err, ERR_FORMAT, "init-data: " KEY " is given twice");
        if (!read_algorithm(at + strlen(KEY), ret_alg, err))
            return false;
        found = true;
    }
    return found || err_set(err, ERR_FORMAT,
                        "init-data: no line " KEY " = \"sha256\" before the first table");
}

bool init_data_digest(const char *text, struct hash *ret_digest, struct err *err)
{
    enum hash_alg alg;
    return find_algorithm(text, &alg, err) && hash_bytes(alg, bytes_str(text), ret_digest, err);
}
