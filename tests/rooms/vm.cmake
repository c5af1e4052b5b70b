# A guest with Debian's own kernel. Emulated, so the one build that is meant to run is enough.
if(NOT SEALED_SANITIZE AND NOT SEALED_FUZZ)
  add_executable(vm_probe vm/probe.c)
  set_target_properties(vm_probe PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  foreach(guest read systemd)
    add_test(NAME ${prefix}vm/${guest} COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/vm/${guest}.sh)
    set_tests_properties(${prefix}vm/${guest} PROPERTIES LABELS vm TIMEOUT 1800 SKIP_RETURN_CODE 77
      ENVIRONMENT "SEALED_BIN=${CMAKE_BINARY_DIR}/bin;SEALED_TESTBIN=${CMAKE_BINARY_DIR}/tests")
  endforeach()
endif()
