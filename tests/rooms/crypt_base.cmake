sealed_unit(err crypt_base)
