# The sealed command. broker.c and certificate.c are sources of the program, not of a library: tests compile them in.
sealed_unit(broker kbs kbs_server crypt)
sealed_unit(certificate crypt crypt_base)
if(NOT SEALED_FUZZ)
  target_sources(test_broker PRIVATE ${CMAKE_SOURCE_DIR}/fs/cli/broker.c ${CMAKE_SOURCE_DIR}/fs/cli/tool.c ${CMAKE_SOURCE_DIR}/fs/control.c)
  target_sources(test_certificate PRIVATE ${CMAKE_SOURCE_DIR}/fs/cli/certificate.c)
endif()
sealed_it(cli)
sealed_it(cli_kbs)
