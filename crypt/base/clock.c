/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/clock.h"

#include <stdio.h>
#include <time.h>

#define DAY_S 86400

/* 0000-01-01 and the second before 10000-01-01. */
#define FIRST_S (-62167219200)
#define LAST_S  253402300799

int64_t clock_wall_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 0000-01-01 to the first day of the year, in the Gregorian calendar carried back; the
 * year 0 was a leap year. */
static int64_t days_before_year(int year)
{
    int last = year - 1;
    return year == 0 ? 0 : (int64_t)year * 365 + last / 4 - last / 100 + last / 400 + 1;
}

void clock_rfc3339(int64_t unix_s, char out[CLOCK_TEXT_SIZE])
{
    if (unix_s < FIRST_S)
        unix_s = FIRST_S;
    if (unix_s > LAST_S)
        unix_s = LAST_S;
    int64_t days = (unix_s - FIRST_S) / DAY_S;
    int second = (int)((unix_s - FIRST_S) % DAY_S);
    int year = (int)(days / 366); /* never too late */
    while (year < 9999 && days_before_year(year + 1) <= days)
        year++;
    days -= days_before_year(year);
    int month = 1;
    while (days >= days_in(year, month))
        days -= days_in(year, month++);
    char text[64];
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, (int)days + 1,
        second / 3600, second / 60 % 60, second % 60);
    memcpy(out, text, CLOCK_TEXT_SIZE);
}

struct cursor {
    struct bytes rest;
    bool failed;
};

static uint8_t take_any(struct cursor *in)
{
    if (in->rest.len == 0) {
        in->failed = true;
        return 0;
    }
    uint8_t c = in->rest.data[0];
    in->rest = bytes_slice(in->rest, 1, in->rest.len);
    return c;
}

static int take_number(struct cursor *in, int digits, int min, int max)
{
    int value = 0;
    for (int i = 0; i < digits; i++) {
        uint8_t c = take_any(in);
        in->failed |= c < '0' || c > '9';
        value = value * 10 + (c - '0');
    }
    in->failed |= value < min || value > max;
    return in->failed ? min : value;
}

/* One character of `allowed`, letters in either case (RFC 3339 section 5.6); gives it in upper
 * case. */
static char take_one(struct cursor *in, const char *allowed)
{
    uint8_t c = take_any(in);
    if (c >= 'a' && c <= 'z')
        c = (uint8_t)(c - 'a' + 'A');
    in->failed |= c == '\0' || !strchr(allowed, c);
    return (char)c;
}

static void take_fraction(struct cursor *in)
{
    if (in->rest.len == 0 || in->rest.data[0] != '.')
        return;
    take_any(in);
    take_number(in, 1, 0, 9);
    while (in->rest.len > 0 && in->rest.data[0] >= '0' && in->rest.data[0] <= '9')
        take_any(in);
}

static int take_offset_s(struct cursor *in)
{
    char sign = take_one(in, "Z+-");
    if (in->failed || sign == 'Z')
        return 0;
    int hours = take_number(in, 2, 0, 23);
    take_one(in, ":");
    int minutes = take_number(in, 2, 0, 59);
    return (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

static int64_t take_date_s(struct cursor *in)
{
    int year = take_number(in, 4, 0, 9999);
    take_one(in, "-");
    int month = take_number(in, 2, 1, 12);
    take_one(in, "-");
    int64_t days = days_before_year(year) + take_number(in, 2, 1, days_in(year, month)) - 1;
    for (int i = 1; i < month; i++)
        days += days_in(year, i);
    return FIRST_S + days * DAY_S;
}

bool clock_parse_rfc3339(struct bytes text, const char *what, int64_t *ret_unix_s, struct err *err)
{
    struct cursor in = {.rest = text};
    int64_t unix_s = take_date_s(&in);
    take_one(&in, "T ");
    unix_s += take_number(&in, 2, 0, 23) * 3600;
    take_one(&in, ":");
    unix_s += take_number(&in, 2, 0, 59) * 60;
    take_one(&in, ":");
    unix_s += take_number(&in, 2, 0, 60);
    take_fraction(&in);
    unix_s -= take_offset_s(&in);
    if (in.failed || in.rest.len > 0)
        return err_set(err, ERR_FORMAT,
            "%s: not a time as RFC 3339 writes it, e.g. 2026-01-31T12:00:00Z", what);
    *ret_unix_s = unix_s;
    return true;
}
