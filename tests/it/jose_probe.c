/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our JOSE as a program, for tests against other implementations:
 *
 *     jose_probe generate P-256|P-384|P-521|Ed25519|RSA        a private JWK on standard output
 *     jose_probe public|thumbprint KEY                 of a key file (JWK or PEM)
 *     jose_probe sign|verify|encrypt|decrypt KEY       standard input to standard output
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "crypt/jwe.h"
#include "crypt/jws.h"

static bool print(struct bytes data, struct err *err)
{
    if (fwrite(data.data, 1, data.len, stdout) != data.len)
        return err_set(err, ERR_IO, "standard output");
    return true;
}

static bool generate(const char *name, struct err *err)
{
    static const struct {
        const char *name;
        enum jwk_kind kind;
    } kinds[] = {{"P-256", JWK_EC_P256}, {"P-384", JWK_EC_P384}, {"P-521", JWK_EC_P521},
        {"Ed25519", JWK_OKP_ED25519}, {"RSA", JWK_RSA}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        auto_jwk *key = NULL;
        auto_secret *text = NULL;
        if (strcmp(name, kinds[i].name) == 0)
            return jwk_generate(kinds[i].kind, NULL, &key, err) &&
                   jwk_private_text(key, &text, err) && print(secret_bytes(text), err);
    }
    return err_set(err, ERR_CONFIG, "no key kind %s", name);
}

static bool public(const struct jwk *key, struct bytes input, struct err *err)
{
    (void)input;
    auto_json *json = NULL;
    if (!jwk_public_json(key, NULL, &json, err))
        return false;
    auto_free char *text = json_text(json);
    return text ? print(bytes_str(text), err) : err_nomem(err);
}

static bool thumbprint(const struct jwk *key, struct bytes input, struct err *err)
{
    (void)input;
    char text[44];
    return jwk_thumbprint(key, text, err) && print(bytes_str(text), err);
}

static bool sign(const struct jwk *key, struct bytes input, struct err *err)
{
    auto_free char *text = NULL;
    return jws_sign(key, NULL, input, &text, err) && print(bytes_str(text), err);
}

static bool verify(const struct jwk *key, struct bytes input, struct err *err)
{
    auto_jws *jws = NULL;
    struct bytes payload;
    return jws_parse(input, &jws, err) && jws_verify(jws, key, ~0u, &payload, err) &&
           print(payload, err);
}

static bool encrypt(const struct jwk *key, struct bytes input, struct err *err)
{
    auto_buf text = BUF_INIT(JWE_TEXT_MAX);
    return jwe_encrypt(key, input, &text, err) && print(buf_bytes(&text), err);
}

static bool decrypt(const struct jwk *key, struct bytes input, struct err *err)
{
    auto_secret *plaintext = NULL;
    return jwe_decrypt(input, key, &plaintext, err) && print(secret_bytes(plaintext), err);
}

static const struct {
    const char *name;
    bool (*run)(const struct jwk *key, struct bytes input, struct err *err);
    bool reads;
} commands[] = {
    {"public", public, false},
    {"thumbprint", thumbprint, false},
    {"sign", sign, true},
    {"verify", verify, true},
    {"encrypt", encrypt, true},
    {"decrypt", decrypt, true},
};

static bool run(const char *command, const char *operand, struct err *err)
{
    if (strcmp(command, "generate") == 0)
        return generate(operand, err);
    auto_fd int fd = open(operand, O_RDONLY | O_CLOEXEC);
    auto_secret *text = NULL, *input = NULL;
    auto_jwk *key = NULL;
    if (fd < 0)
        return err_set(err, ERR_IO, "%s cannot be opened", operand);
    if (!secret_read_fd(fd, JWK_TEXT_MAX, &text, err) || !jwk_from_secret(text, &key, err))
        return err_wrap(err, "%s", operand);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(command, commands[i].name) == 0)
            return (!commands[i].reads || secret_read_fd(0, SECRET_SIZE_MAX, &input, err)) &&
                   commands[i].run(key, input ? secret_bytes(input) : BYTES_EMPTY, err);
    return err_set(err, ERR_CONFIG, "no command %s", command);
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    if (argc != 3) {
        fprintf(stderr, "jose_probe COMMAND OPERAND\n");
        return 2;
    }
    if (run(argv[1], argv[2], &err) && fflush(stdout) == 0)
        return 0;
    fprintf(stderr, "jose_probe: %s\n", err.message);
    return err_info(err.code)->exit_status;
}
