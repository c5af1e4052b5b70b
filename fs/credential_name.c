/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/credential_name.h"

#include <ctype.h>

#define RANDOM_DIGITS 16
#define MARK          "/unit/"
#define MARK_LEN      6

static bool is_unit_char(uint8_t c)
{
    return (c < 128 && isalnum(c)) || (c && strchr(":-_.\\@", c));
}

static bool is_id_char(uint8_t c)
{
    return c > ' ' && c < 127 && c != '/' && c != ':';
}

bool credential_id_valid(const char *id)
{
    size_t len = strlen(id);
    for (size_t i = 0; i < len; i++)
        if (!is_id_char((uint8_t)id[i]))
            return false;
    return len > 0 && len < CREDENTIAL_WORD_SIZE && strcmp(id, ".") != 0 && strcmp(id, "..") != 0;
}

/* The characters at the front of *rest that are of the kind; they are taken off it. */
static bool take_word(struct bytes *rest, bool (*of_kind)(uint8_t c), char *out)
{
    size_t len = 0;
    while (len < rest->len && len < CREDENTIAL_WORD_SIZE - 1 && of_kind(rest->data[len]))
        len++;
    if (len > 0)
        memcpy(out, rest->data, len);
    out[len] = '\0';
    *rest = bytes_slice(*rest, len, rest->len);
    return len > 0;
}

static bool is_random(uint8_t c)
{
    return isdigit(c) || (c >= 'a' && c <= 'f');
}

bool credential_name_parse(struct bytes address, struct credential_name *ret_name, struct err *err)
{
    struct credential_name name;
    char random[CREDENTIAL_WORD_SIZE];
    struct bytes rest = bytes_slice(address, 1, address.len);
    bool good = address.len > 1 && address.data[0] == '\0' && take_word(&rest, is_random, random) &&
                strlen(random) <= RANDOM_DIGITS &&
                bytes_equal(bytes_slice(rest, 0, MARK_LEN), bytes_str(MARK));
    if (good) {
        rest = bytes_slice(rest, MARK_LEN, rest.len);
        good = take_word(&rest, is_unit_char, name.unit) && rest.len > 1 && rest.data[0] == '/';
    }
    if (good) {
        rest = bytes_slice(rest, 1, rest.len);
        good =
            take_word(&rest, is_id_char, name.id) && rest.len == 0 && credential_id_valid(name.id);
    }
    if (!good)
        return err_set(err, ERR_FORMAT,
            "the peer's address does not name a unit and a credential as systemd's does");
    *ret_name = name;
    return true;
}
