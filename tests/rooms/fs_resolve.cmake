sealed_unit(resolve_keys fs_resolve crypt_base)
sealed_unit(resolve_signers fs_resolve crypt)
sealed_unit(resolve_changes fs_resolve crypt_base)
sealed_unit(resolve_sealed fs_resolve crypt kbs_proto)
