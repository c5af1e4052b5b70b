/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/glob.h"

#include <stdint.h>
#include <string.h>

#define WORDS ((GLOB_TOKENS_MAX + 1 + 63) / 64)

enum kind { BYTE, ANY_BYTE, SET, STAR, STAR_STAR };

struct token {
    enum kind kind;
    uint8_t byte;
    uint32_t set[8]; /* one bit a byte */
};

struct glob {
    size_t count;
    struct token tokens[];
};

/* Numbers of tokens that may come next; `count` of the glob is its end. */
struct states {
    uint64_t words[WORDS];
};

/* -- making ------------------------------------------------------------------------------------ */

static void set_add(struct token *token, unsigned byte)
{
    token->set[byte / 32] |= UINT32_C(1) << (byte % 32);
}

static bool set_has(const struct token *token, uint8_t byte)
{
    return token->set[byte / 32] >> (byte % 32) & 1;
}

static void set_invert(struct token *token)
{
    for (size_t i = 0; i < ARRAY_LEN(token->set); i++)
        token->set[i] = ~token->set[i];
}

/* `at` stands behind '['; returns what stands behind ']', NULL when the set is not one. A ']' in the first place is itself. */
static const uint8_t *read_set(const uint8_t *at, struct token *token)
{
    bool inverted = *at == '!';
    const uint8_t *first = at += inverted;
    while (*at && (*at != ']' || at == first)) {
        unsigned low = *at, high = low;
        if (at[1] == '-' && at[2] && at[2] != ']') {
            high = at[2];
            at += 2;
        }
        if (high < low)
            return NULL;
        for (unsigned byte = low; byte <= high; byte++)
            set_add(token, byte);
        at++;
    }
    if (inverted)
        set_invert(token);
    token->set['/' / 32] &= ~(UINT32_C(1) << ('/' % 32));
    return *at ? at + 1 : NULL;
}

/* The token at `at` (not its end); returns what stands behind it, or NULL. */
static const uint8_t *read_token(const uint8_t *at, struct token *ret_token)
{
    *ret_token = (struct token){.kind = BYTE, .byte = *at};
    switch (*at) {
    case '?':
        ret_token->kind = ANY_BYTE;
        return at + 1;
    case '*':
        ret_token->kind = at[1] == '*' ? STAR_STAR : STAR;
        while (at[1] == '*')
            at++;
        return at + 1;
    case '[':
        ret_token->kind = SET;
        return read_set(at + 1, ret_token);
    case '\\':
        ret_token->byte = at[1];
        return at[1] ? at + 2 : NULL;
    default:
        return at + 1;
    }
}

bool glob_new(const char *pattern, struct glob **ret_glob, struct err *err)
{
    const uint8_t *at = (const uint8_t *)pattern;
    size_t len = strlen(pattern);
    if (len == 0 || len > GLOB_TOKENS_MAX)
        return err_set(
            err, ERR_CONFIG, "pattern of %zu bytes; 1 to %d are taken", len, GLOB_TOKENS_MAX);
    auto_free struct glob *glob = calloc(1, sizeof *glob + len * sizeof *glob->tokens);
    if (!glob)
        return err_nomem(err);
    while (at && *at)
        at = read_token(at, &glob->tokens[glob->count++]);
    if (!at)
        return err_set(err, ERR_CONFIG,
            "pattern %s: a set [...] that is not closed or runs backwards, or a backslash with "
            "nothing behind it",
            pattern);
    *ret_glob = take_ptr(glob);
    return true;
}

void glob_free(struct glob *glob)
{
    free(glob);
}

/* -- matching ---------------------------------------------------------------------------------- */

/* With a star come what stands behind it too: it may stand for nothing. */
static void enter(const struct glob *glob, struct states *states, size_t state)
{
    for (;; state++) {
        states->words[state / 64] |= UINT64_C(1) << (state % 64);
        if (state == glob->count || glob->tokens[state].kind < STAR)
            return;
    }
}

static void step(const struct glob *glob, struct states *next, size_t state, uint8_t byte)
{
    const struct token *token = &glob->tokens[state];
    switch (token->kind) {
    case BYTE:
        if (token->byte == byte)
            enter(glob, next, state + 1);
        break;
    case ANY_BYTE:
        if (byte != '/')
            enter(glob, next, state + 1);
        break;
    case SET:
        if (set_has(token, byte))
            enter(glob, next, state + 1);
        break;
    case STAR:
        if (byte != '/')
            enter(glob, next, state);
        break;
    case STAR_STAR:
        enter(glob, next, state);
        break;
    }
}

/* False when no state is left. */
static bool advance(const struct glob *glob, struct states *states, uint8_t byte)
{
    struct states next = {0};
    uint64_t any = 0;
    for (size_t i = 0; i < WORDS; i++)
        for (uint64_t word = states->words[i]; word; word &= word - 1) {
            size_t state = i * 64 + (size_t)__builtin_ctzll(word);
            if (state < glob->count)
                step(glob, &next, state, byte);
        }
    for (size_t i = 0; i < WORDS; i++)
        any |= next.words[i];
    *states = next;
    return any != 0;
}

bool glob_matches(const struct glob *glob, const char *text)
{
    struct states states = {0};
    enter(glob, &states, 0);
    for (; *text; text++)
        if (!advance(glob, &states, (uint8_t)*text))
            return false;
    return states.words[glob->count / 64] >> (glob->count % 64) & 1;
}
