if(TARGET sealed-kbs)
  sealed_it(kbs_server)
endif()
