sealed_unit(store kbs_server)
sealed_unit(policy kbs_server)
sealed_unit(refvalue kbs_server)
sealed_unit(admin kbs_server)
sealed_unit(kbs_conf kbs_server)
sealed_unit(watchdog kbs_server)
sealed_unit(route kbs_server)
sealed_unit(resource kbs_server)
sealed_fuzz(policy kbs_server)
sealed_fuzz(reference_value kbs_server)

sealed_it(kbs_server)

