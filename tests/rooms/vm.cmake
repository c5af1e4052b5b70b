# A guest with Debian's own kernel. Emulated, so the one build that is meant to run is enough.
if(NOT SEALED_SANITIZE AND NOT SEALED_FUZZ)
  add_executable(vm_probe vm/probe.c)
  set_target_properties(vm_probe PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${prefix}vm/read COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/vm/read.sh)
  set_tests_properties(${prefix}vm/read PROPERTIES LABELS vm TIMEOUT 1800 SKIP_RETURN_CODE 77
    ENVIRONMENT "SEALED_BIN=${CMAKE_BINARY_DIR}/bin;SEALED_TESTBIN=${CMAKE_BINARY_DIR}/tests")
endif()
