sealed_unit(uri kbs_proto)
sealed_fuzz(uri kbs_proto)
