sealed_unit(policy kbs_server)
sealed_fuzz(policy kbs_server)
sealed_fuzz(reference_value kbs_server)

if(TARGET sealed-kbs)
  sealed_it(kbs_server)
endif()
