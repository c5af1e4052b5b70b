/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope cleanup: the whole vocabulary in one place.
 *
 *     auto_free char *name = strdup("x");          freed when the scope ends
 *     auto_fd int fd = open(...);                  closed when the scope ends, if >= 0
 *     AUTO(jwk_free) struct jwk *key = NULL;       any destructor declared with DEFINE_AUTO
 *     *ret_key = take_ptr(key);                    give it away: the scope no longer owns it
 *
 * A destructor used here takes NULL and does nothing with it.
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define MUST_CHECK                      __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a)               __attribute__((format(printf, f, a)))
#define ARRAY_LEN(array)                (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Declares fn##_auto, so that AUTO(fn) can end the scope of a `type *` variable with fn(). */
#define DEFINE_AUTO(type, fn)                 \
    static inline void fn##_auto(type **slot) \
    {                                         \
        fn(*slot);                            \
    }                                         \
    struct fn##_auto_needs_semicolon

/* The same for a struct that lives on the stack: ends with fn(&variable). */
#define AUTO(fn)      __attribute__((cleanup(fn##_auto)))
#define AUTO_DONE(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free(void *slot)
{
    free(*(void **)slot);
}

static inline void cleanup_fd(const int *slot)
{
    if (*slot >= 0)
        close(*slot);
}

#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_fd   __attribute__((cleanup(cleanup_fd)))

#define take_ptr(ptr)                              \
    __extension__({                                \
        __typeof__(ptr) *take_slot_ = &(ptr);      \
        __typeof__(ptr) take_value_ = *take_slot_; \
        *take_slot_ = NULL;                        \
        take_value_;                               \
    })

static inline int take_fd_from(int *slot)
{
    int fd = *slot;
    *slot = -1;
    return fd;
}
#define take_fd(fd) take_fd_from(&(fd))
