/* SPDX-License-Identifier: Apache-2.0 */
/*
 * malloc's family that wipes what it frees, for a library whose buffers carry sensitive bytes (bearer tokens, an admin's upload).
 * It is no locked memory: such bytes may still reach swap. Thread-safe.
 */
#pragma once

#include <stddef.h>

void *wiping_malloc(size_t size);
void *wiping_calloc(size_t count, size_t size);
void *wiping_realloc(void *data, size_t size);
char *wiping_strdup(const char *text);
void wiping_free(void *data);
