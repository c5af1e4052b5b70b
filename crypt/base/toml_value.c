/* SPDX-License-Identifier: Apache-2.0 */
/* TOML 1.0.0: strings, numbers, booleans, date-times. */
#include <errno.h>
#include <math.h>

#include "crypt/base/toml_reader.h"

#define TOKEN_MAX 128

/* -- strings ----------------------------------------------------------------------------------- */

static bool put(struct toml_reader *reader, struct buf *out, const char *text, size_t len)
{
    return buf_append(out, bytes_of(text, len), reader->err);
}

static bool put_rune(struct toml_reader *reader, struct buf *out, uint32_t rune)
{
    char text[4];
    size_t len = 0;
    if (rune == 0 || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
        return toml_fail(reader, "an escape of no character that is taken");
    if (rune < 0x80) {
        text[len++] = (char)rune;
    } else {
        int more = rune < 0x800 ? 1 : rune < 0x10000 ? 2 : 3;
        static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
        text[len++] = (char)(lead[more] | rune >> (6 * more));
        while (more-- > 0)
            text[len++] = (char)(0x80 | (rune >> (6 * more) & 0x3f));
    }
    return put(reader, out, text, len);
}

/* \uXXXX and \UXXXXXXXX */
static bool read_rune(struct toml_reader *reader, int digits, struct buf *out)
{
    uint32_t rune = 0;
    for (int i = 0; i < digits; i++, reader->at++) {
        char c = *reader->at;
        if (c >= '0' && c <= '9')
            rune = rune << 4 | (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            rune = rune << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return toml_fail(reader, "an escape without all its hexadecimal digits");
    }
    return put_rune(reader, out, rune);
}

/* Behind the backslash. */
static bool read_escape(struct toml_reader *reader, struct buf *out)
{
    static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
    char c = *reader->at;
    const char *found = c ? strchr(from, c) : NULL;
    if (found) {
        reader->at++;
        return put(reader, out, &to[found - from], 1);
    }
    if (c != 'u' && c != 'U')
        return toml_fail(reader, "an escape that TOML does not have");
    reader->at++;
    return read_rune(reader, c == 'u' ? 4 : 8, out);
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

bool toml_line_string(struct toml_reader *reader, struct buf *out)
{
    char quote = *reader->at++;
    while (*reader->at != quote) {
        if (is_control(*reader->at))
            return toml_fail(reader, "a string that does not end on its line, or a control "
                                     "character in one");
        if (quote == '"' && *reader->at == '\\') {
            reader->at++;
            if (!read_escape(reader, out))
                return false;
        } else if (!put(reader, out, reader->at++, 1)) {
            return false;
        }
    }
    reader->at++;
    return true;
}

static size_t newline_len(const char *at)
{
    return *at == '\n' ? 1 : at[0] == '\r' && at[1] == '\n' ? 2 : 0;
}

/* A backslash at the end of a line takes all white space up to the next character. */
static bool skip_folded(struct toml_reader *reader)
{
    const char *at = reader->at + strspn(reader->at, " \t");
    if (!newline_len(at))
        return false;
    while (*at == ' ' || *at == '\t' || newline_len(at))
        at += *at == ' ' || *at == '\t' ? 1 : newline_len(at);
    reader->at = at;
    return true;
}

/* How many of the run of quotes belong to the text, and whether the run ends it: three end it, and up to two may stand before them. */
static bool read_quotes(struct toml_reader *reader, char quote, struct buf *out, bool *ret_end)
{
    size_t run = 0;
    while (reader->at[run] == quote && run < 5)
        run++;
    *ret_end = run >= 3;
    bool done = put(reader, out, reader->at, *ret_end ? run - 3 : run);
    reader->at += run;
    return done;
}

static bool read_long_string(struct toml_reader *reader, struct buf *out)
{
    char quote = *reader->at;
    reader->at += 3;
    reader->at += newline_len(reader->at);
    for (bool end = false; !end;) {
        bool done = true;
        size_t newline = newline_len(reader->at);
        if (*reader->at == quote) {
            done = read_quotes(reader, quote, out, &end);
        } else if (newline) {
            reader->at += newline;
            done = put(reader, out, "\n", 1);
        } else if (is_control(*reader->at)) {
            return toml_fail(
                reader, "a multi-line string without its end, or a control character in one");
        } else if (quote == '"' && *reader->at == '\\') {
            reader->at++;
            done = skip_folded(reader) || read_escape(reader, out);
        } else {
            done = put(reader, out, reader->at++, 1);
        }
        if (!done)
            return false;
    }
    return true;
}

static bool read_string(struct toml_reader *reader, json_t **ret_value)
{
    auto_buf text = BUF_INIT(SIZE_MAX / 4); /* never longer than the input, which is limited */
    bool is_long = reader->at[1] == *reader->at && reader->at[2] == *reader->at;
    if (!(is_long ? read_long_string(reader, &text) : toml_line_string(reader, &text)))
        return false;
    *ret_value = json_stringn(buf_text(&text), text.len);
    return *ret_value || err_nomem(reader->err);
}

/* -- numbers ----------------------------------------------------------------------------------- */

static bool is_digit(char c, int base)
{
    int value = c >= '0' && c <= '9'                     ? c - '0'
                : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                         : 99;
    return value < base;
}

/* Digits with single underscores between them, which are dropped. */
static bool take_digits(const char **at, int base, char *out, size_t *len)
{
    if (!is_digit(**at, base))
        return false;
    while (is_digit(**at, base) || (**at == '_' && is_digit((*at)[1], base))) {
        if (**at != '_')
            out[(*len)++] = **at;
        (*at)++;
    }
    out[*len] = '\0';
    return true;
}

static json_t *based_integer(const char *token)
{
    static const struct {
        char letter;
        int base;
    } bases[] = {{'x', 16}, {'o', 8}, {'b', 2}};
    for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
        char digits[TOKEN_MAX + 1];
        const char *at = token + 2;
        size_t len = 0;
        if (token[0] != '0' || token[1] != bases[i].letter)
            continue;
        if (!take_digits(&at, bases[i].base, digits, &len) || *at)
            return NULL;
        errno = 0;
        unsigned long long value = strtoull(digits, NULL, bases[i].base);
        return errno == 0 && value <= INT64_MAX ? json_integer((json_int_t)value) : NULL;
    }
    return NULL;
}

/* Decimal integer or float: [+-] int [. digits] [e [+-] digits], and no zero in front. */
static json_t *decimal(const char *token)
{
    char plain[TOKEN_MAX + 1];
    const char *at = token;
    size_t len = 0;
    bool is_float = false;
    if (*at == '-' || *at == '+')
        plain[len++] = *at++;
    if (*at == '0' && (is_digit(at[1], 10) || at[1] == '_'))
        return NULL;
    if (!take_digits(&at, 10, plain, &len))
        return NULL;
    if (*at == '.') {
        is_float = true;
        plain[len++] = *at++;
        if (!take_digits(&at, 10, plain, &len))
            return NULL;
    }
    if (*at == 'e' || *at == 'E') {
        is_float = true;
        plain[len++] = *at++;
        if (*at == '-' || *at == '+')
            plain[len++] = *at++;
        if (!take_digits(&at, 10, plain, &len))
            return NULL;
    }
    if (*at)
        return NULL;
    errno = 0;
    if (!is_float) {
        long long value = strtoll(plain, NULL, 10);
        return errno == 0 ? json_integer(value) : NULL;
    }
    double value = strtod(plain, NULL);
    return isfinite(value) ? json_real(value) : NULL;
}

/* -- date-times (RFC 3339) --------------------------------------------------------------------- */

static bool take_two(const char **at, int min, int max, int *ret_value)
{
    if (!is_digit((*at)[0], 10) || !is_digit((*at)[1], 10))
        return false;
    *ret_value = ((*at)[0] - '0') * 10 + (*at)[1] - '0';
    *at += 2;
    return *ret_value >= min && *ret_value <= max;
}

static bool take_char(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static bool take_date(const char **at)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int century, year, month, day;
    if (!take_two(at, 0, 99, &century) || !take_two(at, 0, 99, &year) || !take_char(at, '-') ||
        !take_two(at, 1, 12, &month) || !take_char(at, '-') ||
        !take_two(at, 1, days[month - 1], &day))
        return false;
    bool leap = year % 4 == 0 && (year != 0 || century % 4 == 0);
    return month != 2 || day < 29 || leap;
}

static bool take_time(const char **at)
{
    int part;
    if (!take_two(at, 0, 23, &part) || !take_char(at, ':') || !take_two(at, 0, 59, &part) ||
        !take_char(at, ':') || !take_two(at, 0, 60, &part))
        return false;
    if (!take_char(at, '.'))
        return true;
    size_t digits = strspn(*at, "0123456789");
    *at += digits;
    return digits > 0;
}

static bool take_offset(const char **at)
{
    int part;
    if (take_char(at, 'Z') || take_char(at, 'z'))
        return true;
    return (take_char(at, '+') || take_char(at, '-')) && take_two(at, 0, 23, &part) &&
           take_char(at, ':') && take_two(at, 0, 59, &part);
}

static json_t *date_time(const char *token)
{
    const char *at = token;
    bool good = false;
    if (token[2] == ':') {
        good = take_time(&at);
    } else if (take_date(&at)) {
        good = *at == '\0';
        if (take_char(&at, 'T') || take_char(&at, 't') || take_char(&at, ' '))
            good = take_time(&at) && (*at == '\0' || take_offset(&at));
    }
    return good && *at == '\0' ? json_string(token) : NULL;
}

/* -- any scalar -------------------------------------------------------------------------------- */

/* A date and a time may be parted by one blank, as no other value may. */
static size_t token_len(const char *at)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-.:";
    size_t len = strspn(at, letters);
    if (len == 10 && at[4] == '-' && at[7] == '-' && at[10] == ' ' && is_digit(at[11], 10))
        len += 1 + strspn(at + 11, letters);
    return len;
}

static json_t *token_value(const char *token)
{
    if (strcmp(token, "true") == 0)
        return json_true();
    if (strcmp(token, "false") == 0)
        return json_false();
    size_t digits = strspn(token, "0123456789");
    if ((digits == 2 && token[2] == ':') || (digits == 4 && token[4] == '-'))
        return date_time(token);
    if (token[0] == '0' && token[1] >= 'a')
        return based_integer(token);
    return decimal(token);
}

bool toml_scalar(struct toml_reader *reader, json_t **ret_value)
{
    char token[TOKEN_MAX + 1] = "";
    if (*reader->at == '"' || *reader->at == '\'')
        return read_string(reader, ret_value);
    size_t len = token_len(reader->at);
    if (len == 0 || len > TOKEN_MAX)
        return toml_fail(reader, "no value, or one of too many characters");
    memcpy(token, reader->at, len);
    json_t *value = token_value(token);
    if (!value)
        return toml_fail(
            reader, "neither a string nor a number, boolean or date-time that is taken");
    reader->at += len;
    *ret_value = value;
    return true;
}
