sealed_unit(err crypt_base)
sealed_unit(loop crypt_base)
