sealed_unit(uri kbs_proto)
sealed_fuzz(uri kbs_proto)
sealed_unit(proto kbs_proto)
sealed_fuzz(proto kbs_proto)
