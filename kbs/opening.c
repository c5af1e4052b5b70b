/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/opening.h"

#include "crypt/jwe.h"

struct opening {
    struct crew_job job;
    struct jwk *key;
    struct buf text;
    struct secret *plaintext;
    struct err err;
    opening_fn *fn; /* NULL: dropped. The loop's thread alone looks at it */
    void *arg;
};

static void opening_free(struct opening *opening)
{
    if (!opening)
        return;
    secret_unref(opening->plaintext);
    buf_done(&opening->text);
    jwk_unref(opening->key);
    free(opening);
}
DEFINE_AUTO(struct opening, opening_free);

static void run(struct crew_job *job)
{
    struct opening *opening = CONTAINER_OF(job, struct opening, job);
    struct secret *plaintext = NULL;
    if (jwe_decrypt(buf_bytes(&opening->text), opening->key, &plaintext, &opening->err))
        opening->plaintext = plaintext;
}

static void done(struct crew_job *job)
{
    AUTO(opening_free) struct opening *opening = CONTAINER_OF(job, struct opening, job);
    if (opening->fn)
        opening->fn(opening->arg, opening->plaintext, &opening->err);
}

bool opening_new(struct bytes text, const struct jwk *key, opening_fn *fn, void *arg,
    struct opening **ret_opening, struct err *err)
{
    AUTO(opening_free) struct opening *opening = calloc(1, sizeof *opening);
    if (!opening)
        return err_nomem(err);
    *opening = (struct opening){.job = {.run = run, .done = done},
        .key = jwk_ref((struct jwk *)(uintptr_t)key), /* counted, and otherwise unchanged */
        .text = BUF_INIT(text.len),
        .err = ERR_INIT,
        .fn = fn,
        .arg = arg};
    if (!buf_append(&opening->text, text, err))
        return false;
    *ret_opening = take_ptr(opening);
    return true;
}

void opening_start(struct opening *opening, struct crew *crew)
{
    if (crew) {
        crew_put(crew, &opening->job);
        return;
    }
    run(&opening->job);
    done(&opening->job);
}

void opening_drop(struct opening *opening)
{
    if (opening)
        opening->fn = NULL;
}
